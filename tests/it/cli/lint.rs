//! Manifests that people get wrong: each is told, and what stands beside it is applied.

use std::fmt::Write as _;

use super::apply::native;
use super::transcript::Transcript;
use crate::harness::objects::raw_computes;
use crate::rows::{clear, shared};
use crate::trials;

trials![what_is_wrong_is_told_with_its_place, what_is_wrong_harms_nothing_beside_it];

async fn what_is_wrong_is_told_with_its_place() {
    let cluster = shared().await;
    let mut told = Transcript::new("lint", cluster, "cli-lint-ann");
    told.set("KUBECONFIG", "/nowhere");
    let good = native("new-usecases");
    let wrong = good
        .replace("name: new-usecases", "name: New")
        .replace("purpose: query", "purpose: fast")
        .replace("description", "descriptoin")
        + "    tolerations:\n    - {key: dedicated, effect: NoSchedul}\n    - {operator: Exists, value: x}\n    - {}\n";
    told.file("wrong.yaml", &wrong);
    told.run("cat wrong.yaml");
    told.run("dataos-ctl apply -l -f wrong.yaml");
    told.run("dataos-ctl apply -l -f wrong.yaml --output json");
    let bomb = (1..12).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |mut text, level| {
        let below = [format!("*a{}", level - 1).as_str(); 9].join(", ");
        let _ = writeln!(text, "a{level}: &a{level} [{below}]");
        text
    });
    let utf16: Vec<u8> = format!("\u{feff}{good}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (name, bytes) in [
        ("bad/bomb.yaml", bomb.into_bytes()),
        ("bad/binary.yaml", b"\x7fELF\x02\x01\x00".to_vec()),
        ("bad/crlf.yaml", good.replace('\n', "\r\n").into_bytes()),
        ("bad/bom.yaml", format!("\u{feff}{}", good.replace("new-usecases", "bom")).into_bytes()),
        ("bad/deep.yaml", "[".repeat(5000).into_bytes()),
        ("bad/empty.yaml", b"# nothing yet\n".to_vec()),
        ("bad/keys.yaml", good.replace("version: v1beta", "version: v1beta\nversion: v1").into_bytes()),
        ("bad/latin.yaml", b"name: a\ndescription: gr\xfcn\n".to_vec()),
        ("bad/list.json", br#"{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}, 1]}"#.to_vec()),
        ("bad/long.yaml", vec![b'#'; (3 << 20) + 1]),
        ("bad/nul.yaml", good.replace("new-usecases", "\"a\\0\u{202e}b\"").into_bytes()),
        ("bad/others.yaml", b"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n---\nname: w\nversion: v1\ntype: workflow\nworkflow: {dag: []}\n---\napiVersion: poros.dataos.io/v1beta1\nkind: Placement\nmetadata: {name: p}\n---\nservices: {web: {image: nginx}}\n---\napiVersion: poros.dataos.io/v1beta2\nkind: Computee\nmetadata: {name: c}\nspec: {}\n".to_vec()),
        ("bad/tabs.yaml", good.replace("  purpose", "\tpurpose").into_bytes()),
        ("bad/typed.yaml", good.replace("name: new-usecases", "name: true").replace("minReadyNodes: 0", "minReadyNodes: two").into_bytes()),
        ("bad/unset.yaml", good.replace("new-usecases", "$NAMEE").replace("first", "costs $$5 or ${x-y}").into_bytes()),
        ("bad/utf16.yaml", utf16),
    ] {
        told.file(name, bytes);
    }
    told.set("NAME", "a secret value");
    told.run("dataos-ctl apply -l -f bad");
    told.run("dataos-ctl apply -l -f nowhere.yaml -f bad/crlf.yaml -f bad/utf16.yaml");
    told.run("dataos-ctl apply -f");
    told.run("dataos-ctl apply -l --lintt -f bad");
    told.run("dataos-ctl aply -f bad");
    told.compare();
}

async fn what_is_wrong_harms_nothing_beside_it() {
    let cluster = shared().await;
    let client = cluster.client().await;
    let told = Transcript::new("lint-many", cluster, "cli-many-ann");
    let mut text = String::new();
    for number in 0..100 {
        let document = match number {
            7 => "a: [\n".to_owned(),
            42 => native("Cli-Many"),
            77 => "kind: Pod\nname: x\n".to_owned(),
            _ => native(&format!("cli-many-{number:02}")),
        };
        let _ = write!(text, "---\n{document}");
    }
    told.file("many.yaml", text);
    let printed = told.quietly("dataos-ctl apply -f many.yaml --output json");
    assert_eq!(printed.code, 4, "{}", printed.err);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&printed.out).unwrap();
    let with = |outcome: &str| rows.iter().filter(|row| row["outcome"] == outcome).count();
    assert_eq!((rows.len(), with("created"), with("error")), (100, 97, 3));
    let problem: serde_json::Value = serde_json::from_str(&printed.err).unwrap();
    let lines: Vec<u64> =
        problem["errors"].as_array().unwrap().iter().map(|error| error["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [79, 455, 840], "{problem}");
    assert_eq!(problem["detail"], "97 created, 3 errors");
    let again = told.quietly("dataos-ctl apply -f many.yaml -q");
    assert!(again.err.contains("97 unchanged, 3 errors"), "{}", again.err);
    for number in 0..100 {
        let name = format!("cli-many-{number:02}");
        if raw_computes(&client).get_opt(&name).await.unwrap().is_some() {
            clear(&client, &name).await;
        }
    }
}
