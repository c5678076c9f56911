"""What the older tool is known to lose: everything else must be the same as in a backup.

A loss is a kind, what is said of the difference (a field that differs, or that the object is on one side only), and why.
Both are patterns for the whole of it.
"""

import re

LOSSES = [
    # It knows these fields of a cluster and no others; its first versions knew fewer.
    ("cluster", r"enable_local_disk_encryption|single_user_name|azure_attributes|gcp_attributes|runtime_engine", "a list of fields"),
    ("cluster", r"data_security_mode|docker_image.*|driver_instance_pool_id|policy_id", "a shorter list in its first versions"),
    ("cluster", r"libraries|pinned", "neither its list of clusters nor its list of libraries has it here"),
    ("cluster", r"removed job-\d+-run-\d+.*", "told from others by names, in its first versions by fewer of them"),
    ("job", r"tasks\[main\]\.(run_if|timeout_seconds)", "a job of one task comes as version 2.0 of the API shows it"),
    ("notebook", r"format|content", "every notebook comes as source, and its outputs are lost"),
    ("directory", r"removed /Users/chloe@example.com/forecast", "a Git folder in a home is a folder to it"),
    ("notebook", r"removed /Users/chloe@example.com/forecast/.*", "what lies in a Git folder is a notebook to it"),
    ("git-folder", r"added /Users/chloe@example.com/forecast", "it looks for Git folders below /Repos only"),
    ("group", r"members\[.*\]", "a member that is a service principal, which it does not export, has no name"),
    ("export-file", r"removed .*", "a file of things that imports do not take"),
]


def reason(kind, what):
    """Why a difference is a known loss; nothing if it is none."""
    return next((why for of, said, why in LOSSES if of == kind and re.fullmatch(said, what)), None)
