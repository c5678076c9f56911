//! `dbsnap sandbox`

use std::fs::File;
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dbsnap::sandbox::{
    Clock, Faults, OAuthClient, Options, RateLimits, Requests, Running, Sample, Sandbox, Token,
};
use serde_json::json;

use crate::cli::error::Failure;
use crate::cli::exit::Outcome;
use crate::cli::session::Session;

/// The secret of the machine client.
const OAUTH_SECRET: &str = "DBSNAP_SANDBOX_OAUTH_SECRET";

/// Seconds that a token of the machine client lives, as with the real service.
const OAUTH_LIFE: u64 = 3600;

/// Serve an embedded workspace to try things on
///
/// A workspace server in this process that speaks the REST API: nothing of it leaves this machine, and everything in it
/// is gone when it ends (Ctrl-C). It prints the profile to put into ~/.databrickscfg; dbsnap and the official tools can
/// then use it like a real workspace.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  dbsnap sandbox --sample small --port 8080
  dbsnap sandbox --load ./notebooks --latency 30 --rate-limits
  dbsnap sandbox --sample large --faults throttled=0.05,broken=0.01
  DBSNAP_SANDBOX_OAUTH_SECRET=... dbsnap sandbox --oauth-client 0f6c4a4e-6f3b-4a57-9a3e-5f1b0c1d2e3f

Exit codes:
  0  stopped by Ctrl-C
  1  failed to start, or to write the file of --requests
  2  the command line was not understood")]
pub(crate) struct Args {
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,

    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    listen: IpAddr,

    /// What the workspace holds at the start
    #[arg(long, value_enum, default_value_t = SampleName::Small)]
    sample: SampleName,

    /// Load a directory of notebooks and files into /Shared
    #[arg(long, value_name = "DIR")]
    load: Option<PathBuf>,

    /// The administrator's token; a random one if it is not given
    #[arg(long)]
    token: Option<String>,

    /// A machine that may log in with OAuth: a service principal of this application id, and an administrator. The secret
    /// may stand in DBSNAP_SANDBOX_OAUTH_SECRET instead, where other users of this computer do not see it
    #[arg(long, value_name = "ID[:SECRET]")]
    oauth_client: Option<String>,

    /// Milliseconds that every answer takes longer
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency: u64,

    /// Shares of requests that fail: throttled, internal, identity-overload, unavailable, broken, lost-answers; also
    /// `stale-reads=N`, `seed=N` and `tables`, the share of tables that cannot be described
    #[arg(long, value_name = "NAME=SHARE,...", value_parser = parse_faults)]
    faults: Option<Faults>,

    /// Throttle with the rates that the real service documents
    #[arg(long)]
    rate_limits: bool,

    /// When it stops, write here as JSON how often each endpoint was asked for and how often it answered with success,
    /// to anybody and to others than dbsnap; those that nobody asked for are there with 0
    #[arg(long, value_name = "FILE")]
    requests: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum SampleName {
    /// Nothing but what every workspace has
    Empty,
    /// A team of a dozen people with one of everything
    Small,
    /// 200 users, 20,000 notebooks, 2,000 jobs
    Large,
}

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Outcome, Failure> {
    let secret = session.environment.variable(OAUTH_SECRET);
    let client = args.oauth_client.as_deref();
    let client = client
        .map(|given| oauth_client(given, secret))
        .transpose()?;
    let id = client.as_ref().map(|client| client.id.clone());
    let record = args.requests.as_deref().map(Record::create).transpose()?;
    let running = Sandbox::start(options(session, args, client)).await;
    let running = running.map_err(|error| Failure::doing("start the sandbox", error))?;
    announce(session, &running, id.as_deref());
    session.interrupt.asked().await;
    let workspace = running.workspace.clone();
    running.shutdown().await;
    session.out.note("stopped");
    if let Some(record) = record {
        record.write(&workspace.requests())?;
    }
    Ok(Outcome::Done)
}

/// The file of `--requests`, opened before anybody is served; empty until the sandbox has stopped.
struct Record<'a> {
    path: &'a Path,
    file: File,
}

impl Record<'_> {
    fn create(path: &Path) -> Result<Record<'_>, Failure> {
        let doing = || format!("create {}", path.display());
        let file = File::create(path).map_err(|error| Failure::doing(doing(), error))?;
        Ok(Record { path, file })
    }

    fn write(mut self, requests: &Requests) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(requests).expect("counts are valid JSON");
        let written = writeln!(self.file, "{text}");
        let doing = || format!("write the requests into {}", self.path.display());
        written.map_err(|error| Failure::doing(doing(), error))
    }
}

fn options(session: &Session, args: &Args, oauth: Option<OAuthClient>) -> Options {
    // A sandbox is a workspace of its own; one that is started again on the same port is the same one.
    let workspace_id = match args.port {
        0 => session.now().timestamp_micros().unsigned_abs(),
        port => 1_000_000_000_000_000 + u64::from(port),
    };
    let mut options = Options {
        port: args.port,
        listen: args.listen,
        token: args.token.as_ref().map(Token::new),
        oauth,
        sample: match args.sample {
            SampleName::Empty => Sample::Empty,
            SampleName::Small => Sample::Small,
            SampleName::Large => Sample::Large,
        },
        load: args.load.clone(),
        latency: Duration::from_millis(args.latency),
        clock: Clock::System,
        workspace_id,
        ..Options::default()
    };
    if let Some(faults) = &args.faults {
        options.faults = faults.clone();
    }
    if args.rate_limits {
        options.rate_limits = RateLimits::Documented;
    }
    options
}

/// The client of `ID:SECRET`, or of `ID` and a secret from elsewhere.
fn oauth_client(given: &str, secret: Option<&str>) -> Result<OAuthClient, Failure> {
    let (id, secret) = match given.split_once(':') {
        Some((id, secret)) => (id, Some(secret)),
        None => (given, secret),
    };
    let secret = secret.filter(|secret| !secret.is_empty());
    let (false, Some(secret)) = (id.is_empty(), secret) else {
        return Err(
            Failure::usage("--oauth-client needs the id of the client and its secret").hint(
                format!("write ID:SECRET, or ID alone and set {OAUTH_SECRET} to the secret"),
            ),
        );
    };
    Ok(OAuthClient {
        id: id.to_owned(),
        secret: Token::new(secret),
        expires_in: OAUTH_LIFE,
    })
}

/// Says how to connect. The secret of a machine client is not repeated: whoever gave it has it.
fn announce(session: &Session, running: &Running, client: Option<&str>) {
    let (url, token) = (&running.url, running.token.reveal());
    if session.json() {
        let mut document = json!({"host": url, "token": token});
        if let Some(client) = client {
            document["client_id"] = json!(client);
        }
        session.out.json(&document);
    } else {
        let out = &session.out;
        out.note(format!(
            "a sandbox workspace listens on {url}; Ctrl-C stops it"
        ));
        out.note("put this into ~/.databrickscfg and use it with --profile SANDBOX:\n");
        out.line(format!("[SANDBOX]\nhost = {url}\ntoken = {token}"));
        if let Some(client) = client {
            out.note("\nor, with client_secret = and the secret that you gave:\n");
            out.line(format!(
                "[SANDBOX-MACHINE]\nhost = {url}\nclient_id = {client}"
            ));
        }
    }
    session.out.flush();
}

fn parse_faults(text: &str) -> Result<Faults, String> {
    let mut faults = Faults::default();
    for item in text.split(',') {
        let (name, value) = item.split_once('=').unwrap_or((item, ""));
        let share = || match value.parse::<f64>() {
            Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
            _ => Err(format!(
                "`{item}` is not NAME=SHARE with a share from 0 to 1"
            )),
        };
        let number = || format!("`{item}` is not NAME=NUMBER");
        match name {
            "throttled" => faults.throttled = share()?,
            "internal" => faults.internal = share()?,
            "identity-overload" => faults.identity_overload = share()?,
            "unavailable" => faults.unavailable = share()?,
            "broken" => faults.broken = share()?,
            "lost-answers" => faults.lost_answers = share()?,
            "tables" => faults.tables = share()?,
            "stale-reads" => faults.stale_reads = value.parse().map_err(|_| number())?,
            "seed" => faults.seed = value.parse().map_err(|_| number())?,
            _ => return Err(format!("there is no fault `{name}`")),
        }
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_client_has_its_secret_from_the_flag_or_from_elsewhere_and_none_without() {
        let secret = |given, elsewhere| {
            let client = oauth_client(given, elsewhere).ok()?;
            Some((client.id, client.secret.reveal().to_owned()))
        };
        let of = |id: &str, secret: &str| Some((id.to_owned(), secret.to_owned()));
        assert_eq!(secret("robot:a:b", Some("c")), of("robot", "a:b"));
        assert_eq!(secret("robot", Some("c")), of("robot", "c"));
        for (given, elsewhere) in [("robot", None), ("robot:", Some("c")), (":a", None)] {
            assert_eq!(secret(given, elsewhere), None, "{given}");
        }
    }

    #[test]
    fn faults_are_read_and_nonsense_is_named() {
        let faults = parse_faults("throttled=0.05,stale-reads=3").unwrap();
        assert_eq!((faults.throttled, faults.stale_reads), (0.05, 3));
        for wrong in ["throttled", "throttled=2", "thortled=0.1", "seed=x", ""] {
            assert!(parse_faults(wrong).is_err(), "{wrong}");
        }
    }
}
