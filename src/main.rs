//! The `dbsnap` command.

mod cli;
#[cfg(test)]
mod testing;

fn main() -> std::process::ExitCode {
    cli::main()
}
