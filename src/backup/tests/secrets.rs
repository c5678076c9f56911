//! Secret scopes: names always, values only when asked for, and nowhere but in an encrypted store.

use serde_json::{Value, json};

use super::*;
use crate::manifest::SecretContent;
use crate::sandbox::{Effect, Rule};
use crate::store::{Identity, Lock, NewSlot};

impl Bench {
    /// With a store that takes secret values.
    async fn encrypted() -> Self {
        let bench = Self::small().await;
        let slot = NewSlot {
            label: "test".parse().unwrap(),
            lock: Lock::Recipient(Identity::generate().recipient()),
        };
        let path = bench._dir.path().join("encrypted");
        let store = Store::create_encrypted(&path, *bench.time.lock().unwrap(), &[slot]);
        Self {
            store: store.unwrap(),
            ..bench
        }
    }

    async fn backup_values(&self) -> BackupReport {
        let mut options = self.options();
        options.selection.secret_values = true;
        self.try_backup(options).await.unwrap()
    }
}

fn body(bench: &Bench, report: &BackupReport, scope: &str) -> Value {
    let entry = entry(&bench.store, report, "secret-scope", scope).unwrap();
    serde_json::from_slice(&entry.body.unwrap().read(&bench.store).unwrap()).unwrap()
}

fn values(bench: &Bench, report: &BackupReport, scope: &str) -> Option<SecretContent> {
    let entry = entry(&bench.store, report, "secret-scope", scope).unwrap();
    let bytes = entry.content?.read(&bench.store).unwrap();
    SecretContent::parse(&bytes)
}

fn refuse(status: u16, code: &str) -> Effect {
    Effect::Refuse {
        status,
        code: code.into(),
        message: "no".into(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_times_vaults_and_access_lists_are_kept_and_no_value_is_even_asked_for() {
    let bench = Bench::small().await;
    let report = bench.backup().await;
    assert_eq!(bench.requests("secrets/get"), 0);
    let etl = body(&bench, &report, "etl");
    assert_eq!(etl["keys"][0]["key"], "api-token");
    assert!(etl["keys"][0]["last_updated_timestamp"].is_i64());
    assert_eq!(etl["acls"].as_array().unwrap().len(), 3);
    let vault = body(&bench, &report, "vault");
    assert_eq!(vault["backend_type"], "AZURE_KEYVAULT");
    assert_eq!(
        vault["keyvault_metadata"]["dns_name"],
        "https://v.vault.azure.net/"
    );
    assert_eq!(body(&bench, &report, "nothing.yet")["keys"], json!([]));
    assert!(values(&bench, &report, "etl").is_none());
    let again = bench.backup().await;
    assert_eq!(again.counts["secret-scope"].unchanged, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_not_encrypted_gets_no_values_and_nothing_is_read_for_it() {
    let bench = Bench::small().await;
    let mut options = bench.options();
    options.selection.secret_values = true;
    let error = bench.try_backup(options).await.unwrap_err();
    assert!(matches!(error, BackupError::SecretsNeedKey), "{error}");
    assert_eq!(bench.running.workspace.requests().total, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_are_read_once_and_again_only_when_one_of_the_scope_was_set() {
    let bench = Bench::encrypted().await;
    let report = bench.backup_values().await;
    // Two, two and one; the vault keeps its own.
    assert_eq!(bench.requests("secrets/get"), 5);
    let etl = values(&bench, &report, "etl").unwrap();
    assert_eq!(etl.expose("api-token"), Some("bm90LWEtcmVhbC10b2tlbg=="));
    assert!(values(&bench, &report, "vault").is_none());
    let again = bench.backup_values().await;
    assert_eq!(bench.requests("secrets/get"), 0);
    assert_eq!(again.counts["secret-scope"].unchanged, 5);
    let new = json!({"scope": "docker", "key": "user", "string_value": "other"});
    let workspace = &bench.running.workspace;
    workspace.call("POST", "/api/2.0/secrets/put", new);
    let third = bench.backup_values().await;
    assert_eq!(bench.requests("secrets/get"), 2);
    let docker = values(&bench, &third, "docker").unwrap();
    assert_eq!(docker.expose("user"), Some("b3RoZXI="));
    // A run that is not asked for values leaves them out, and that is no deletion but another selection.
    let names = bench.backup().await;
    assert!(values(&bench, &names, "etl").is_none());
    let etl = entry(&bench.store, &names, "secret-scope", "etl").unwrap();
    assert_eq!(etl.gap, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_is_refused_is_a_gap_and_stays_as_it_was() {
    let bench = Bench::encrypted().await;
    bench.backup_values().await;
    let get = Rule::new("/api/2.0/secrets/get", refuse(403, "PERMISSION_DENIED"));
    bench.running.workspace.inject(get.target("api-token"));
    let new = json!({"scope": "etl", "key": "hms-password", "string_value": "other"});
    let workspace = &bench.running.workspace;
    workspace.call("POST", "/api/2.0/secrets/put", new);
    let report = bench.backup_values().await;
    let gaps = gaps(&report);
    let [gap, _] = &gaps[..] else {
        panic!("{gaps:?}")
    };
    let begin = "secret-scope etl: Content: 1 of 2 values could not be read: api-token: ";
    assert!(gap.starts_with(begin), "{gap}");
    let etl = values(&bench, &report, "etl").unwrap();
    assert_eq!(etl.expose("api-token"), Some("bm90LWEtcmVhbC10b2tlbg=="));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_access_list_that_is_refused_is_a_gap_and_keys_stay_known() {
    let bench = Bench::small().await;
    let acls = Rule::new(
        "/api/2.0/secrets/acls/list",
        refuse(403, "PERMISSION_DENIED"),
    );
    bench.running.workspace.inject(acls.target("etl"));
    let report = bench.backup().await;
    let gaps = gaps(&report);
    let [gap, _] = &gaps[..] else {
        panic!("{gaps:?}")
    };
    assert!(
        gap.starts_with("secret-scope etl: Object: acls is unknown: "),
        "{gap}"
    );
    let etl = body(&bench, &report, "etl");
    assert_eq!(etl["keys"].as_array().unwrap().len(), 2);
    assert_eq!(etl.get("acls"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scope_whose_keys_are_not_found_is_no_deletion_as_long_as_it_is_listed() {
    let bench = Bench::small().await;
    let gone = refuse(404, "RESOURCE_DOES_NOT_EXIST");
    let gone = Rule::new("/api/2.0/secrets/list", gone).target("docker");
    bench.running.workspace.inject(gone);
    let report = bench.backup().await;
    let gaps = gaps(&report);
    assert!(
        gaps[0].starts_with("secret-scope docker: Object: keys is unknown"),
        "{gaps:?}"
    );
    assert!(body(&bench, &report, "docker")["acls"].is_array());
}
