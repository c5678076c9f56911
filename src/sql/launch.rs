//! A small cluster that is made to run statements on.
//!
//! Nobody's cluster is touched by it: it is made, used and removed. One that a killed run left ends by itself, and the next
//! launch removes it.

use serde_json::{Map, Value, json};

use super::SqlError;
use crate::api::{Client, ErrorKind, Listing, Paging, Repeat};
use crate::resource::LAUNCHED_TAG;

/// What such a cluster is called.
pub(super) const NAME: &str = "dbsnap metastore";
/// After so long without work it ends by itself. The service takes no less than ten.
const AUTOTERMINATION_MINUTES: u32 = 20;
/// Spark does not run on less.
const LEAST_MEMORY_MB: u64 = 7_000;

/// Makes a cluster, with the rights of an instance profile if one is given; its id.
///
/// It enforces table ACLs, so that `SHOW GRANTS` is answered, unless the workspace does not know such clusters.
pub(super) async fn launch(client: &Client, profile: Option<&str>) -> Result<String, SqlError> {
    remove_leftovers(client).await?;
    let version = spark_version(client).await?;
    let node = node_type(client).await?;
    let with_acls = spec(&version, &node, profile, true);
    match create(client, &with_acls).await {
        Err(SqlError::Api(error))
            if matches!(
                error.kind(),
                ErrorKind::BadRequest | ErrorKind::PermissionDenied
            ) && !error.answer_may_be_lost() =>
        {
            create(client, &spec(&version, &node, profile, false)).await
        }
        made => made,
    }
}

async fn create(client: &Client, spec: &Value) -> Result<String, SqlError> {
    let path = "/api/2.1/clusters/create";
    match client.post(path, spec, Repeat::Unsafe).await {
        Ok(made) => match made["cluster_id"].as_str() {
            Some(id) => Ok(id.to_owned()),
            None => Err(SqlError::Answer("a cluster without an id".to_owned())),
        },
        Err(error) if error.answer_may_be_lost() => Err(SqlError::NoPlace(format!(
            "the answer to the launch of a cluster was lost; if there is a cluster `{NAME}` now, it ends by itself after \
             {AUTOTERMINATION_MINUTES} minutes"
        ))),
        Err(error) => Err(error.into()),
    }
}

fn spec(version: &str, node: &str, profile: Option<&str>, with_acls: bool) -> Value {
    let mut tags = Map::from_iter([(LAUNCHED_TAG.0.to_owned(), json!(LAUNCHED_TAG.1))]);
    let mut spec = json!({
        "cluster_name": NAME, "spark_version": version, "node_type_id": node,
        "autotermination_minutes": AUTOTERMINATION_MINUTES,
    });
    if with_acls {
        spec["num_workers"] = json!(1);
        spec["data_security_mode"] = json!("LEGACY_TABLE_ACL");
        spec["spark_conf"] = json!({
            "spark.databricks.acl.dfAclsEnabled": "true",
            "spark.databricks.repl.allowedLanguages": "python,sql",
        });
    } else {
        spec["num_workers"] = json!(0);
        spec["data_security_mode"] = json!("NONE");
        spec["spark_conf"] = json!({
            "spark.databricks.cluster.profile": "singleNode",
            "spark.master": "local[*]",
        });
        tags.insert("ResourceClass".to_owned(), json!("SingleNode"));
    }
    spec["custom_tags"] = Value::Object(tags);
    if let Some(profile) = profile {
        spec["aws_attributes"] = json!({"instance_profile_arn": profile});
    }
    spec
}

/// The newest version with long support, of those for any machine and purpose.
async fn spark_version(client: &Client) -> Result<String, SqlError> {
    const SPECIAL: &[&str] = &[
        "-ml-",
        "-gpu-",
        "-cpu-ml",
        "-photon-",
        "-aarch64-",
        "-hls-",
        "-snapshot-",
    ];
    let answer = client.get("/api/2.1/clusters/spark-versions", &[]).await?;
    let versions = answer["versions"].as_array().into_iter().flatten();
    let usual = versions.filter_map(|version| {
        let (key, name) = (version["key"].as_str()?, version["name"].as_str()?);
        let is_special = SPECIAL.iter().any(|special| key.contains(special));
        let number = |at: usize| key.split(['.', '-']).nth(at)?.parse::<u32>().ok();
        let order = (name.contains("LTS"), number(0)?, number(1)?);
        (!is_special).then(|| (order, key.to_owned()))
    });
    let newest = usual.max();
    newest.map(|(_, key)| key).ok_or_else(|| {
        SqlError::NoPlace("the workspace offers no version of Spark to launch".to_owned())
    })
}

/// The smallest type of machine that Spark runs on.
async fn node_type(client: &Client) -> Result<String, SqlError> {
    let answer = client.get("/api/2.1/clusters/list-node-types", &[]).await?;
    let types = answer["node_types"].as_array().into_iter().flatten();
    let usable = types.filter_map(|node| {
        let is = |field: &str| node[field].as_bool().unwrap_or(false);
        let memory = node["memory_mb"].as_u64()?;
        let is_fit = memory >= LEAST_MEMORY_MB
            && node["num_gpus"].as_u64().unwrap_or(0) == 0
            && !["is_deprecated", "is_hidden", "is_graviton"]
                .into_iter()
                .any(is);
        let millicores = (node["num_cores"].as_f64().unwrap_or(0.0) * 1000.0) as u64;
        let id = node["node_type_id"].as_str()?.to_owned();
        is_fit.then_some((millicores, memory, id))
    });
    let smallest = usable.min();
    smallest.map(|(.., id)| id).ok_or_else(|| {
        SqlError::NoPlace("the workspace offers no type of machine to launch".to_owned())
    })
}

/// Removes clusters that killed runs left, once they have ended.
async fn remove_leftovers(client: &Client) -> Result<(), SqlError> {
    let listing = Listing {
        path: "/api/2.1/clusters/list",
        query: vec![("filter_by.cluster_sources", "API")],
        items_key: "clusters",
        id_key: Some("cluster_id"),
        paging: Paging::PageToken {
            size: Some(("page_size", 100)),
        },
    };
    for cluster in client.list(listing).await? {
        let is_ours = cluster["custom_tags"][LAUNCHED_TAG.0] == LAUNCHED_TAG.1;
        if is_ours && cluster["state"] == "TERMINATED" {
            remove(client, cluster["cluster_id"].as_str().unwrap_or_default()).await?;
        }
    }
    Ok(())
}

/// Ends and removes a cluster.
pub(super) async fn remove(client: &Client, id: &str) -> Result<(), SqlError> {
    let path = "/api/2.1/clusters/permanent-delete";
    let body = json!({"cluster_id": id});
    match client.post(path, &body, Repeat::Safe).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        answer => Ok(answer.map(drop)?),
    }
}

/// The instance profiles that the workspace knows.
pub(super) async fn all_profiles(client: &Client) -> Result<Vec<String>, SqlError> {
    let answer = client.get("/api/2.0/instance-profiles/list", &[]).await?;
    let profiles = answer["instance_profiles"].as_array().into_iter().flatten();
    let arn = |profile: &Value| Some(profile["instance_profile_arn"].as_str()?.to_owned());
    Ok(profiles.filter_map(arn).collect())
}
