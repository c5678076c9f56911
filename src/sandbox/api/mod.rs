//! The endpoints, one file per API family.
//!
//! Invariant: a handler answers what the real service answers, including where that is odd; each oddity says so.

mod archive;
mod cluster_list;
mod clusters;
mod compute;
mod contexts;
mod credentials;
mod dbfs;
mod export;
mod files;
mod import;
mod init_scripts;
mod instance_profiles;
mod jobs;
mod libraries;
mod login;
mod mlflow;
mod permission_types;
mod permissions;
mod policies;
mod pools;
mod repos;
mod rights;
mod scim;
mod secrets;
mod statements;
mod tree;
mod warehouses;

use super::routes::Route;

pub(crate) use mlflow::experiments::add_of_notebook;
pub(crate) use policies::family as policy_family;

/// Every endpoint there is.
pub(crate) static FAMILIES: &[&[Route]] = &[
    login::ROUTES,
    scim::ROUTES,
    instance_profiles::ROUTES,
    pools::ROUTES,
    policies::ROUTES,
    cluster_list::ROUTES,
    clusters::ROUTES,
    compute::ROUTES,
    libraries::ROUTES,
    init_scripts::ROUTES,
    tree::ROUTES,
    import::ROUTES,
    export::ROUTES,
    files::ROUTES,
    repos::ROUTES,
    credentials::ROUTES,
    jobs::ROUTES,
    permissions::ROUTES,
    secrets::ROUTES,
    dbfs::ROUTES,
    warehouses::ROUTES,
    statements::ROUTES,
    contexts::ROUTES,
    mlflow::experiments::ROUTES,
    mlflow::models::ROUTES,
    mlflow::versions::ROUTES,
    mlflow::runs::ROUTES,
    mlflow::artifacts::ROUTES,
];
