//! Counts instructions, by `valgrind --tool=callgrind`: no other program and no other load changes them, so a change that
//! costs a few per cent is noticed without a quiet machine.
//!
//! Beside them it counts atomic read-modify-writes (`Ge`, callgrind's "global bus events"), which are too few to be seen
//! among instructions: a lock that is taken and given back is two, and a count of owners one each way.
//!
//! Compiler, C library, valgrind, and what vectors the processor has change the counts: those that differ from a table which
//! the same [`tools`] have made are a failure, and beside one of others they are only shown.

#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a failure ends the program"
)]

use std::{
    env, fmt, fs,
    path::PathBuf,
    process::{Command, ExitCode},
};

/// Something to count: what makes it ready, and gives what is to be counted, once.
pub type Script = (&'static str, fn() -> Box<dyn FnMut()>);

/// How often a script runs while instructions are counted, and before, so that what is kept is there.
const ROUNDS: u32 = 50;

/// By how much a count of instructions may differ from what is written down.
const DRIFT: f64 = 0.03;

/// The `main` of a program that compares its scripts' counts with those in `table`: a file with a line for what made it, and
/// one for each script with its name, instructions, and atomic operations. With `UPDATE_INSTRUCTIONS` in the environment the
/// file is written.
pub fn main(table: &str, scripts: &[Script]) -> ExitCode {
    if let Some(name) = env::var("INSTRUCTIONS_OF").ok().as_deref() {
        let (_, prepare) = scripts.iter().find(|(script, _)| *script == name).expect("a script's name");
        let mut script = prepare();
        (0..ROUNDS).for_each(|_| script());
        counted(&mut script);
        return ExitCode::SUCCESS;
    }
    let tools = tools();
    let found: Vec<Counts> = scripts.iter().map(|(name, _)| count(name)).collect();
    if env::var_os("UPDATE_INSTRUCTIONS").is_some() {
        let lines: String = found.iter().map(|counts| format!("{counts}\n")).collect();
        fs::write(table, format!("# {tools}\n{lines}")).expect("the table can be written");
        return ExitCode::SUCCESS;
    }
    let text = fs::read_to_string(table).expect("there is a table");
    let (made_by, rows) = text.split_once('\n').expect("a line of what made it");
    let expected: Vec<Counts> = rows.lines().map(Counts::read).collect();
    let is_of_all = expected.iter().map(|counts| &counts.name).eq(found.iter().map(|counts| &counts.name));
    assert!(is_of_all, "{table} has other scripts: run this with UPDATE_INSTRUCTIONS=1");
    let mut differs = false;
    for (counts, expected) in found.iter().zip(&expected) {
        let verdict = counts.compare(expected);
        differs |= !verdict.is_empty();
        println!("{counts}  {verdict}");
    }
    let made_by = made_by.trim_start_matches("# ");
    if made_by != tools {
        println!("NOT CHECKED: these are of {tools}, and {table} is of {made_by}.");
        return ExitCode::SUCCESS;
    }
    if differs {
        println!("{table} has other counts. If they are meant to be these, run this with UPDATE_INSTRUCTIONS=1.");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// What the counts depend on beside our code.
fn tools() -> String {
    // The first number that it says, without what a distribution adds.
    let version = |command: &str| {
        let output = Command::new(command).arg("--version").output();
        let output = output.unwrap_or_else(|error| panic!("{command} is needed (Debian has it): {error}"));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let is_version = |word: &&str| word.starts_with(|first: char| first.is_ascii_digit());
        let mut words = said.lines().next().unwrap_or_default().split(['-', ' ']);
        format!("{command} {}", words.find(is_version).unwrap_or_default())
    };
    let vectors =
        fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| text.split_whitespace().any(|flag| flag == "avx2"));
    let vectors = if vectors { "AVX2" } else { "no AVX2" };
    let [rustc, valgrind, ldd] = ["rustc", "valgrind", "ldd"].map(version);
    let profile = if cfg!(debug_assertions) { "for tests" } else { "optimised" };
    format!("{rustc}, {valgrind}, {ldd}, {}, {vectors}, {profile}", env::consts::ARCH)
}

/// Of one round, on average.
struct Counts {
    name: String,
    instructions: u64,
    atomics: u64,
}

impl Counts {
    /// A row of the table.
    fn read(row: &str) -> Self {
        let mut words = row.split_whitespace().rev();
        let mut number = || words.next().and_then(|word| word.parse().ok()).expect("a number");
        let (atomics, instructions) = (number(), number());
        let name: Vec<&str> = words.rev().collect();
        Self { name: name.join(" "), instructions, atomics }
    }

    /// What is wrong, if anything. That less is needed is also to be written down, or half of it could come back unseen.
    fn compare(&self, expected: &Self) -> String {
        let drift = self.instructions as f64 / expected.instructions as f64 - 1.0;
        if drift.abs() > DRIFT {
            format!("{:+.1} % instructions, from {}", 100.0 * drift, expected.instructions)
        } else if self.atomics != expected.atomics {
            format!("{} atomic operations before", expected.atomics)
        } else {
            String::new()
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<32}{:>10}{:>7}", self.name, self.instructions, self.atomics)
    }
}

fn count(name: &str) -> Counts {
    let program = env::current_exe().expect("this program has a path");
    let file: PathBuf = env::temp_dir().join(format!("sockeye-callgrind-{}", std::process::id()));
    let output = Command::new("valgrind")
        // Nothing of `VALGRIND_OPTS` or `.valgrindrc`.
        .args(["--command-line-only=yes", "--tool=callgrind", "--collect-bus=yes"])
        .arg("--toggle-collect=*::callgrind::counted")
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(program)
        .env("INSTRUCTIONS_OF", name)
        .output()
        .expect("it was found before");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    let profile = fs::read_to_string(&file).expect("callgrind has written its counts");
    drop(fs::remove_file(&file));
    let line = |name: &str| profile.lines().find_map(|line| line.strip_prefix(name)).map(str::split_whitespace);
    let (names, sums) = (line("events:").expect("names of counts"), line("totals:").expect("sums"));
    let sum = |wanted: &str| {
        let mut all = names.clone().zip(sums.clone());
        let (_, sum) = all.find(|(name, _)| *name == wanted).unwrap_or_else(|| panic!("{name}: no {wanted} in {said}"));
        sum.parse::<u64>().expect("a number") / u64::from(ROUNDS)
    };
    let counts = Counts { name: name.to_owned(), instructions: sum("Ir"), atomics: sum("Ge") };
    assert!(counts.instructions > 0, "{name}: nothing was counted");
    counts
}

/// What callgrind counts, by its name.
#[inline(never)]
fn counted(script: &mut dyn FnMut()) {
    (0..ROUNDS).for_each(|_| script());
}
