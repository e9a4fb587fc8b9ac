//! Other people than the administrator: clients that impersonate them, and what they may do.

use kube::Client;
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;

use super::cluster::Cluster;
use super::objects::{create, dynamic};

/// A client as somebody else.
pub async fn as_user(cluster: &Cluster, user: &str) -> Client {
    let kubeconfig = Kubeconfig::read_from(cluster.rig.kubeconfig()).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.auth_info.impersonate = Some(user.into());
    Client::try_from(config).unwrap()
}

/// Grants a user these verbs on a resource of Poros; the role bears the name of the user.
pub async fn grant(client: &Client, user: &str, resource: &str, verbs: &[&str]) {
    let group = "rbac.authorization.k8s.io";
    let version = format!("{group}/v1");
    let role = json!({
        "apiVersion": version, "kind": "ClusterRole", "metadata": {"name": user},
        "rules": [{"apiGroups": ["poros.dataos.io"], "resources": [resource], "verbs": verbs}],
    });
    let binding = json!({
        "apiVersion": version, "kind": "ClusterRoleBinding", "metadata": {"name": user},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": user},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    });
    create(&dynamic(client, &version, "ClusterRole", "clusterroles", None), &role).await.unwrap();
    create(&dynamic(client, &version, "ClusterRoleBinding", "clusterrolebindings", None), &binding)
        .await
        .unwrap();
}
