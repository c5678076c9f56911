//! The tree of the small workspace.

use serde_json::json;

use super::Builder;
use super::small::LEFT;
use super::text::notebook;
use crate::sandbox::state::{Content, Form, Language, NodeKind, mix, split_path};

/// Source notebooks: path and language. Their texts follow from their numbers.
const NOTEBOOKS: &[(&str, Language)] = &[
    ("/Shared/etl/01 load", Language::Python),
    ("/Shared/etl/02 clean", Language::Python),
    ("/Shared/etl/03 publish", Language::Sql),
    ("/Shared/etl/lib/schema", Language::Scala),
    ("/Shared/etl/lib/plots", Language::R),
    ("/Shared/reports/Umsatz Übersicht", Language::Sql),
    ("/Shared/reports/umsatz übersicht", Language::Sql),
    ("/Shared/reports/日本語のノート", Language::Python),
    ("/Shared/reports/emoji 🚀 launch", Language::Python),
    ("/Shared/odd/100% sure?", Language::Python),
    ("/Shared/odd/a+b=c", Language::Python),
    ("/Shared/odd/hash#tag & more", Language::Python),
    ("/Shared/odd/quote's \"here\"", Language::Sql),
    ("/Shared/odd/[brackets] {and} (more)", Language::Python),
    ("/Shared/odd/dots...and.py.txt", Language::Python),
    ("/Shared/odd/backslash\\inside", Language::Python),
    ("/Shared/odd/semi;colon,comma", Language::Python),
    ("/Shared/odd/case", Language::Python),
    ("/Shared/odd/Case", Language::Python),
    ("/Shared/odd/twins/x", Language::Python),
    (
        "/Shared/odd/deep/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/bottom",
        Language::Python,
    ),
    ("/Users/ana@example.com/load", Language::Python),
    (
        "/Users/ana@example.com/projects/churn/features",
        Language::Python,
    ),
    (
        "/Users/ana@example.com/projects/churn/train",
        Language::Python,
    ),
    (
        "/Users/ana@example.com/projects/churn/score",
        Language::Python,
    ),
    (
        "/Users/ana@example.com/projects/pricing/elasticity",
        Language::R,
    ),
    ("/Users/bob@example.com/scratch", Language::Python),
    (
        "/Users/bob@example.com/Untitled Notebook 2025-01-07 10:15:00",
        Language::Python,
    ),
    ("/Users/bob@example.com/jobs/ingest", Language::Scala),
    ("/Users/chloe@example.com/été/analyse", Language::Sql),
    ("/Users/dmitri@example.com/отчёт", Language::Sql),
    ("/Users/eve+test@example.com/try it", Language::Python),
    ("/Users/o'hara@example.com/tomorrow", Language::Python),
    ("/Users/li.lei@example.com/数据/清洗", Language::Python),
    ("/Users/Mixed.Case@Example.com/Notes", Language::Sql),
    ("/Users/greg@example.com/legacy/nightly", Language::Python),
    ("/Users/greg@example.com/legacy/helpers", Language::Scala),
    ("/Users/greg@example.com/final version (2)", Language::Sql),
    (
        "/Users/b7f5c2f0-3a52-4c0f-9a57-0f2f6f6c8b11/robot",
        Language::Python,
    ),
    ("/at the root", Language::Python),
];

/// Folders with nothing in them.
const EMPTY: &[&str] = &[
    "/Shared/empty",
    "/Shared/odd/also empty/inside",
    "/Users/nina@example.com/neuer Ordner",
    "/Users/frank@example.com/todo",
];

/// Fills the tree.
pub(super) fn fill(builder: &mut Builder<'_>) {
    for (number, (path, language)) in NOTEBOOKS.iter().enumerate() {
        let content = Content::Kept(notebook(*language, 1_000 + number as u64).into());
        put(
            builder,
            path,
            NodeKind::Notebook {
                language: *language,
                form: Form::Source,
                content,
            },
        );
    }
    for path in EMPTY {
        make(builder, path);
    }
    jupyter(builder);
    files(builder);
    git_folders(builder);
    others(builder);
    make(builder, &format!("/Users/{LEFT}/empty too"));
}

fn jupyter(builder: &mut Builder<'_>) {
    for (path, title) in [
        ("/Shared/reports/explore", "Explore"),
        ("/Users/ana@example.com/projects/churn/eda", "First look"),
        ("/Users/greg@example.com/plots", "Plots"),
    ] {
        // Written with an indent, which a copy that goes through a parser would lose.
        let text = format!(
            "{{\n \"cells\": [\n  {{\"cell_type\": \"markdown\", \"metadata\": {{}}, \"source\": [\"# {title}\"]}},\n  \
             {{\"cell_type\": \"code\", \"execution_count\": 3, \"metadata\": {{}}, \"outputs\": [{{\"name\": \"stdout\", \
             \"output_type\": \"stream\", \"text\": [\"42\\n\"]}}], \"source\": [\"print(6 * 7)\"]}}\n ],\n \
             \"metadata\": {{\"language_info\": {{\"name\": \"python\"}}}},\n \"nbformat\": 4,\n \"nbformat_minor\": 0\n}}\n"
        );
        let content = Content::Kept(text.into());
        put(
            builder,
            path,
            NodeKind::Notebook {
                language: Language::Python,
                form: Form::Jupyter,
                content,
            },
        );
    }
    let empty = Content::Kept("".into());
    let kind = NodeKind::Notebook {
        language: Language::Python,
        form: Form::Source,
        content: empty,
    };
    put(builder, "/Users/bob@example.com/empty notebook", kind);
}

fn files(builder: &mut Builder<'_>) {
    let noise: Vec<u8> = (0..4_096u64)
        .flat_map(|number| mix(number).to_le_bytes())
        .collect();
    // A plain file that looks like a notebook: only its type says that it is none.
    let decoy = "# Databricks notebook source\nprint('a file, not a notebook')\n";
    let texts = [
        (
            "/Shared/init/setup.sh",
            "#!/bin/bash\nset -eu\necho ready\n",
        ),
        (
            "/Shared/requirements.txt",
            "simplejson==3.19.2\nrequests>=2\n",
        ),
        ("/Shared/etl/config.yaml", "env: prod\nretries: 3\n"),
        ("/Shared/etl/lib/looks_like_a_notebook.py", decoy),
        (
            "/Shared/odd/twins/x.py",
            "print('the notebook beside me would be exported under my name')\n",
        ),
        ("/Shared/odd/no extension", "plain\n"),
        ("/Shared/odd/.hidden", "dot\n"),
        ("/Shared/odd/ünïcödé.csv", "ключ,值\n1,2\n"),
        ("/Shared/jobs/one.py", "import sys\nprint(sys.argv)\n"),
        (
            "/Users/ana@example.com/projects/churn/README.md",
            "# Churn\n\nAsk Ana.\n",
        ),
        ("/Users/greg@example.com/legacy/todo.txt", "hand over\n"),
        ("/Users/chloe@example.com/été/données.json", "{\"a\": 1}\n"),
    ];
    for (path, text) in texts {
        put(builder, path, NodeKind::file(text));
    }
    put(
        builder,
        "/Shared/libs/tools-1.0-py3-none-any.whl",
        NodeKind::file(noise),
    );
    put(builder, "/Shared/odd/empty file", NodeKind::file(""));
}

fn git_folders(builder: &mut Builder<'_>) {
    make(builder, "/Repos/ana@example.com");
    let sparse = json!({"patterns": ["src", "conf"]});
    let inside = json!({
        "url": "https://github.com/example/project.git", "provider": "gitHub",
        "path": "/Repos/ana@example.com/project", "sparse_checkout": sparse,
    });
    builder.post("/api/2.0/repos", inside);
    let outside = json!({
        "url": "https://gitlab.com/example/forecast", "provider": "gitLab",
        "path": "/Users/chloe@example.com/forecast",
    });
    builder.post("/api/2.0/repos", outside);
    for (number, path) in [
        "/Repos/ana@example.com/project/src/main",
        "/Users/chloe@example.com/forecast/model",
    ]
    .into_iter()
    .enumerate()
    {
        let content = Content::Kept(notebook(Language::Python, 2_000 + number as u64).into());
        put(
            builder,
            path,
            NodeKind::Notebook {
                language: Language::Python,
                form: Form::Source,
                content,
            },
        );
    }
    put(
        builder,
        "/Repos/ana@example.com/project/README.md",
        NodeKind::file("# project\n"),
    );
    builder.act_as("ana@example.com");
    let credential = json!({
        "git_provider": "gitHub", "git_username": "ana-gh", "personal_access_token": "never shown", "name": "personal",
    });
    builder.post("/api/2.0/git-credentials", credential);
}

/// What is listed in the tree and lives elsewhere, or nowhere any more.
fn others(builder: &mut Builder<'_>) {
    let resource_id = builder.state.ids.commit()[..32].to_string();
    let content =
        Content::Kept("{\"pages\":[{\"name\":\"a1\",\"displayName\":\"Sales\"}]}\n".into());
    let dashboard = NodeKind::Dashboard {
        resource_id,
        content,
    };
    put(
        builder,
        "/Users/ana@example.com/Sales.lvdash.json",
        dashboard,
    );
    put(builder, "/Users/bob@example.com/oldlib", NodeKind::Library);
}

fn put(builder: &mut Builder<'_>, path: &str, kind: NodeKind) {
    let (parent, _) = split_path(path).unwrap_or(("/", path));
    make(builder, parent);
    let put = builder.state.put(path, kind, false);
    debug_assert!(put.is_ok(), "{path}: {put:?}");
}

fn make(builder: &mut Builder<'_>, path: &str) {
    let made = builder.state.make_directories(path);
    debug_assert!(made.is_ok(), "{path}: {made:?}");
}
