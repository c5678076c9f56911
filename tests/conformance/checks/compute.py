"""What things run on: instance profiles, pools, policies, clusters, init scripts."""

import base64
import json

from databricks.sdk.errors import DatabricksError, NotFound
from databricks.sdk.service import compute

from expect import expect, expect_equal, expect_error


def check_instance_profiles(env):
    profiles = env.client.instance_profiles
    arn = "arn:aws:iam::123456789012:instance-profile/conformance"
    profiles.add(instance_profile_arn=arn, skip_validation=True)
    role = "arn:aws:iam::123456789012:role/conformance"
    profiles.edit(instance_profile_arn=arn, iam_role_arn=role)
    env.backup()
    wanted = {profile.instance_profile_arn for profile in profiles.list()}
    expect(arn in wanted, wanted)
    expect_equal(env.body("instance-profile", arn)["iam_role_arn"], role, "role in the snapshot")
    expect_equal(set(env.listed("instance-profile")), wanted, "instance profiles")
    profiles.remove(instance_profile_arn=arn)
    expect(arn not in {profile.instance_profile_arn for profile in profiles.list()}, "a removed profile is gone")


def check_instance_pools(env):
    pools = env.client.instance_pools
    made = pools.create(instance_pool_name="conformance pool", node_type_id="i3.xlarge", min_idle_instances=0)
    pools.edit(made.instance_pool_id, instance_pool_name="conformance pool", node_type_id="i3.xlarge", max_capacity=7)
    expect_equal(pools.get(made.instance_pool_id).max_capacity, 7, "capacity after edit")
    env.backup()
    wanted = {pool.instance_pool_name: pool.instance_pool_id for pool in pools.list()}
    expect_equal(env.listed("instance-pool"), wanted, "instance pools")
    expect_equal(env.body("instance-pool", "conformance pool")["max_capacity"], 7, "capacity in the snapshot")
    pools.delete(made.instance_pool_id)
    with expect_error(DatabricksError):
        pools.get(made.instance_pool_id)


def check_cluster_policies(env):
    policies = env.client.cluster_policies
    definition = {"autotermination_minutes": {"type": "fixed", "value": 30}}
    made = policies.create(name="conformance policy", definition=json.dumps(definition))
    definition["autotermination_minutes"]["value"] = 45
    policies.edit(made.policy_id, name="conformance policy", definition=json.dumps(definition))
    expect_equal(json.loads(policies.get(made.policy_id).definition), definition, "definition after edit")
    env.backup()
    wanted = {policy.name: policy.policy_id for policy in policies.list()}
    expect_equal(env.listed("cluster-policy"), wanted, "cluster policies")
    kept = env.body("cluster-policy", "conformance policy")["definition"]
    expect_equal(json.loads(kept), definition, "definition in the snapshot")
    policies.delete(made.policy_id)
    with expect_error(NotFound):
        policies.get(made.policy_id)
    families = list(env.client.policy_families.list())
    expect(families, "there are policy families")
    family = env.client.policy_families.get(families[0].policy_family_id)
    expect_equal(family.policy_family_id, families[0].policy_family_id, "a policy family")


def check_clusters_with_libraries_and_pins(env):
    clusters = env.client.clusters
    made = clusters.create(
        cluster_name="conformance cluster",
        spark_version="15.4.x-scala2.12",
        node_type_id="i3.xlarge",
        num_workers=1,
        autotermination_minutes=20,
    ).response
    expect(clusters.get(made.cluster_id).state in (compute.State.PENDING, compute.State.RUNNING), "a new one starts")
    clusters.delete(made.cluster_id).result()
    expect_equal(clusters.get(made.cluster_id).state, compute.State.TERMINATED, "state after delete")
    clusters.edit(
        made.cluster_id,
        cluster_name="conformance cluster",
        spark_version="15.4.x-scala2.12",
        node_type_id="i3.xlarge",
        num_workers=3,
    )
    clusters.pin(made.cluster_id)
    library = compute.Library(pypi=compute.PythonPyPiLibrary(package="simplejson==3.19.2"))
    env.client.libraries.install(made.cluster_id, [library])
    installed = list(env.client.libraries.cluster_status(made.cluster_id))
    expect_equal([status.library for status in installed], [library], "libraries of the cluster")
    everywhere = {status.cluster_id for status in env.client.libraries.all_cluster_statuses()}
    expect(made.cluster_id in everywhere, "the cluster's libraries are in the list of all")
    pinned = clusters.list(filter_by=compute.ListClustersFilterBy(is_pinned=True))
    expect(made.cluster_id in {cluster.cluster_id for cluster in pinned}, "pinned clusters can be listed")
    with expect_error(NotFound, "does not exist"):
        clusters.get("0101-000000-nowhere0")

    env.backup()
    sources = (None, compute.ClusterSource.UI, compute.ClusterSource.API)
    wanted = {c.cluster_name for c in clusters.list() if c.cluster_source in sources}
    expect_equal(set(env.listed("cluster")), wanted, "clusters")
    body = env.body("cluster", "conformance cluster")
    expect_equal((body["num_workers"], body["pinned"]), (3, True), "workers and pin in the snapshot")
    expect_equal(body["libraries"], [library.as_dict()], "libraries in the snapshot")
    env.client.libraries.uninstall(made.cluster_id, [library])
    expect_equal(list(env.client.libraries.cluster_status(made.cluster_id)), [], "libraries after uninstalling")
    clusters.unpin(made.cluster_id)
    pinned = clusters.list(filter_by=compute.ListClustersFilterBy(is_pinned=True))
    expect(made.cluster_id not in {cluster.cluster_id for cluster in pinned}, "a cluster is pinned no more")
    clusters.permanent_delete(made.cluster_id)
    with expect_error(NotFound):
        clusters.get(made.cluster_id)


def check_clusters_that_start_and_change(env):
    clusters = env.client.clusters
    made = clusters.create(
        cluster_name="changing cluster",
        spark_version="15.4.x-scala2.12",
        node_type_id="i3.xlarge",
        num_workers=1,
        aws_attributes=compute.AwsAttributes(zone_id="us-west-2b", first_on_demand=2),
    ).result()
    clusters.delete(made.cluster_id).result()
    expect_equal(clusters.start(made.cluster_id).result().state, compute.State.RUNNING, "a cluster that was started")
    with expect_error(DatabricksError, "state"):
        clusters.start(made.cluster_id)
    changes = compute.UpdateClusterResource(num_workers=4, aws_attributes=compute.AwsAttributes(first_on_demand=3))
    changed = clusters.update(made.cluster_id, "num_workers,aws_attributes.first_on_demand", cluster=changes).result()
    aws = changed.aws_attributes
    expect_equal((changed.num_workers, aws.first_on_demand, aws.zone_id), (4, 3, "us-west-2b"), "what the mask names")
    expect_equal(changed.cluster_name, "changing cluster", "what the mask does not name")
    env.backup()
    body = env.body("cluster", "changing cluster")
    kept = (body["num_workers"], body["aws_attributes"]["first_on_demand"])
    expect_equal(kept, (4, 3), "the changes in the snapshot")
    clusters.permanent_delete(made.cluster_id)


def check_what_clusters_can_be_made_of(env):
    clusters = env.client.clusters
    expect(clusters.list_node_types().node_types, "there are node types")
    expect(clusters.spark_versions().versions, "there are Spark versions")
    expect(clusters.list_zones().zones, "there are zones")
    owned = clusters.create(cluster_name="owned", spark_version="15.4.x-scala2.12", node_type_id="i3.xlarge", num_workers=0)
    with expect_error(DatabricksError):
        clusters.change_owner(owned.response.cluster_id, "member@example.com")
    clusters.delete(owned.response.cluster_id).result()
    clusters.change_owner(owned.response.cluster_id, "member@example.com")
    expect_equal(clusters.get(owned.response.cluster_id).creator_user_name, "member@example.com", "the new owner")
    clusters.permanent_delete(owned.response.cluster_id)


def check_global_init_scripts(env):
    scripts = env.client.global_init_scripts
    text = base64.b64encode("#!/bin/sh\necho ünï\n".encode()).decode()
    made = scripts.create(name="conformance script", script=text, enabled=True)
    expect_equal(scripts.get(made.script_id).script, text, "script")
    scripts.update(made.script_id, name="conformance script", script=text, enabled=False)
    expect_equal(scripts.get(made.script_id).enabled, False, "enabled after update")
    env.backup()
    expect_equal(set(env.listed("global-init-script")), {script.name for script in scripts.list()}, "scripts")
    body = env.body("global-init-script", "conformance script")
    expect_equal((body["script"], body["enabled"]), (text, False), "script in the snapshot")
    scripts.delete(made.script_id)
    with expect_error(NotFound):
        scripts.get(made.script_id)
