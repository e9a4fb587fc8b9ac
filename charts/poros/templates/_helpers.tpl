{{- /* Whether the API server has MutatingAdmissionPolicy: then policies place pods, else the webhook of Poros. */ -}}
{{- define "poros.mutates" -}}
{{- if .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy" }}true{{ end }}
{{- end }}

{{- define "poros.selector" -}}
app.kubernetes.io/name: poros
app.kubernetes.io/component: controller
{{- end }}

{{- define "poros.labels" -}}
app.kubernetes.io/name: poros
app.kubernetes.io/part-of: poros
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "poros.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- /* The default Computes as a List in JSON; nothing where there are none. */ -}}
{{- define "poros.defaultComputes" -}}
{{- $items := list -}}
{{- range $name, $compute := .Values.defaultComputes -}}
{{- if $compute.enabled -}}
{{- $items = append $items (dict "apiVersion" "poros.dataos.io/v1beta1" "kind" "Compute" "metadata" (dict "name" $name) "spec" $compute.spec) -}}
{{- end -}}
{{- end -}}
{{- if $items }}{{ dict "apiVersion" "v1" "kind" "List" "items" $items | toJson }}{{ end }}
{{- end }}

{{- /* No ids: the image is of a user with a number, and OpenShift gives each namespace ids of its own. */ -}}
{{- define "poros.podSecurity" -}}
runAsNonRoot: true
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "poros.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "poros.scheduling" -}}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
