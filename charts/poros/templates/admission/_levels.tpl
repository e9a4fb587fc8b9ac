{{- /* Made from the code: POROS_BLESS=1 cargo test --test rooms writes it. */ -}}
{{- define "poros.actions" -}}
{{- get (dict "Deny" `["Deny"]` "Warn" `["Warn","Audit"]` "Audit" `["Audit"]`) . -}}
{{- end }}
