// Local shows what the action does, on one machine, with nothing but Go: it builds the action, unmodified, and runs it
// as a child process against an emulator of GitHub's OIDC endpoint, Entra and Key Vault, twice. The second run finds
// that there is nothing to do. What it prints is what a workflow would see.
//
//	go run ./examples/local [-faults SEED] [DECLARATION]
//	go run ./examples/local -audit | -rotation [-keep FOLDER]
//	go run ./examples/local -logins
//
// The declaration is examples/bootstrap/passwords.yml unless another is named. Nothing is kept: the emulator holds its
// secrets in memory, and the folder for the build is removed.
//
// With -audit it shows an audit of two vaults in which there is something to find, and the rotation of what is due. Its
// four reports are kept, in a folder that it names. With -rotation it shows the rotation of everything in the same
// vaults, in which two secrets are refused. With -keep, the last run's job summary and the reports are kept in that
// folder.
//
// With -logins it shows rotations of a secret with two logins at a PostgreSQL server, which it starts. It needs
// PostgreSQL, such as Debian's package; POSTGRESQL_18 may name a folder with initdb and postgres instead.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"keyvault-passwords/internal/test/emulator"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "examples/local:", err)
		os.Exit(1)
	}
}

// A demo is one invocation.
type demo struct {
	runs        int
	out         io.Writer
	dir         string // for the build and the runner's files
	program     string
	declaration string
	keep        string // the folder for the last run's summary; "": none
	emulator    *emulator.Emulator
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("local", flag.ContinueOnError)
	seed := flags.Uint64("faults", 0, "have the services fail in the ways that this seed draws; 0: not at all")
	audit := flags.Bool("audit", false, "show an audit, and write its reports into a folder that is kept")
	logins := flags.Bool("logins", false, "show rotations with two logins, at a PostgreSQL server that is started")
	rotation := flags.Bool("rotation", false, "show a rotation in which two secrets are refused")
	keep := flags.String("keep", "", "keep the last run's job summary, and an audit's reports, in this folder")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil // it has been shown
	} else if err != nil {
		return err
	}
	if *keep != "" {
		folder, err := filepath.Abs(*keep)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return err
		}
		*keep = folder
	}
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	declaration := filepath.Join(root, "examples", "bootstrap", "passwords.yml")
	if flags.NArg() > 0 {
		declaration = flags.Arg(0)
	}
	if declaration, err = filepath.Abs(declaration); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "keyvault-passwords-")
	if err != nil {
		return err
	}
	d := &demo{out: out, dir: dir, program: filepath.Join(dir, "keyvault-passwords"), declaration: declaration,
		keep: *keep}
	show := func() error { return d.show(ctx, *seed) }
	switch {
	case *audit:
		show = func() error { return d.showAudit(ctx) }
	case *rotation:
		show = func() error { return d.showRotation(ctx) }
	case *logins:
		show = func() error { return d.showLogins(ctx) }
	}
	err = d.build(ctx)
	if err == nil {
		err = show()
	}
	return errors.Join(err, os.RemoveAll(dir))
}

// moduleRoot returns the folder of the module, so that the example runs from any folder of it.
func moduleRoot(ctx context.Context) (string, error) {
	file, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("asking go for the module: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(file))), nil
}

func (d *demo) build(ctx context.Context) error {
	build := exec.CommandContext(ctx, "go", "build", "-o", d.program, "keyvault-passwords")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building the action: %w", err)
	}
	return nil
}

func (d *demo) show(ctx context.Context, seed uint64) error {
	vaults, err := d.vaults()
	if err != nil {
		return err
	}
	if d.emulator, err = emulator.Start(emulator.Options{Dir: d.dir, Vaults: vaults}); err != nil {
		return err
	}
	defer func() { _ = d.emulator.Close() }() // a listener on loopback that goes with the process anyway
	scheduleFaults(d.emulator, seed)
	for _, title := range []string{"First run: what is missing is created", "Second run: nothing is written twice"} {
		if _, err := d.runAction(ctx, title); err != nil {
			return err
		}
	}
	d.showVaults()
	return nil
}

// vaultName finds the vaults that a declaration names, well enough for an example: the emulator must have them.
var vaultName = regexp.MustCompile(`(?m)(?:^vault:|name:)\s*(?:https://)?([A-Za-z][A-Za-z0-9-]{2,23})`)

func (d *demo) vaults() ([]string, error) {
	text, err := os.ReadFile(d.declaration)
	if err != nil {
		return nil, err
	}
	vaults := []string{emulator.DefaultVault}
	for _, match := range vaultName.FindAllStringSubmatch(string(text), -1) {
		if !slices.Contains(vaults, match[1]) {
			vaults = append(vaults, match[1])
		}
	}
	return vaults, nil
}

// fileCommands are what the runner gives a step a file for.
var fileCommands = []string{"GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"}

// command is the program as the runner would start it, with further inputs NAME=VALUE.
func (d *demo) command(ctx context.Context, inputs ...string) (*exec.Cmd, error) {
	d.runs++
	command := exec.CommandContext(ctx, d.program)
	command.Env = append(d.emulator.Environ(),
		"GITHUB_WORKSPACE="+filepath.Dir(d.declaration),
		"GITHUB_REPOSITORY="+emulator.DefaultRepository, fmt.Sprint("GITHUB_RUN_ID=", d.runs), "GITHUB_RUN_ATTEMPT=1",
		"INPUT_TENANT-ID="+emulator.DefaultTenant, "INPUT_CLIENT-ID="+emulator.DefaultClient,
		"INPUT_FILE="+filepath.Base(d.declaration))
	for _, input := range inputs {
		name, value, _ := strings.Cut(input, "=")
		command.Env = append(command.Env, "INPUT_"+strings.ToUpper(name)+"="+value)
	}
	if !d.namesVault() {
		command.Env = append(command.Env, "INPUT_VAULT="+emulator.DefaultVault)
	}
	for _, name := range fileCommands {
		file := filepath.Join(d.dir, name)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			return nil, err
		}
		command.Env = append(command.Env, name+"="+file)
	}
	return command, nil
}

// runAction runs the program with further inputs NAME=VALUE, and shows what came of it. It returns what is in the
// output file.
func (d *demo) runAction(ctx context.Context, title string, inputs ...string) (outputs string, err error) {
	d.heading(title)
	command, err := d.command(ctx, inputs...)
	if err != nil {
		return "", err
	}
	command.Stdout, command.Stderr = d.out, d.out
	failed := command.Run()
	written := map[string]string{}
	for _, name := range fileCommands {
		text, err := os.ReadFile(filepath.Join(d.dir, name))
		if err != nil {
			return "", err
		}
		d.heading(name + " after it")
		fmt.Fprint(d.out, string(text))
		written[name] = string(text)
	}
	if d.keep != "" {
		err = os.WriteFile(filepath.Join(d.keep, "summary.md"), []byte(written["GITHUB_STEP_SUMMARY"]), 0o600)
	}
	if failed != nil {
		err = errors.Join(fmt.Errorf("the action: %w", failed), err)
	}
	return written["GITHUB_OUTPUT"], err
}

// namesVault reports whether the declaration has a default vault of its own.
func (d *demo) namesVault() bool {
	text, err := os.ReadFile(d.declaration)
	return err == nil && regexp.MustCompile(`(?m)^vault:`).Match(text)
}

// showVaults shows what the vaults hold, which the action itself could not read back.
func (d *demo) showVaults() {
	d.heading("What the vaults hold (names and versions; the values are nobody's business)")
	for _, held := range d.emulator.Holds() {
		vault, _, _ := strings.Cut(held.Vault, ".")
		fmt.Fprintf(d.out, "%-12s %-28s %s  policy %s\n", vault, held.Name, held.Version, held.Tags["policy"])
	}
	counts := d.emulator.Requests()
	fmt.Fprintf(d.out, "\n%d sets, %d version lists, %d values read, %d tokens issued by Entra\n",
		counts["set"], counts["versions"], counts["get"], counts["token"])
	for _, fired := range d.emulator.FaultLog() {
		fmt.Fprintf(d.out, "survived: %s\n", describe(fired))
	}
}

func (d *demo) heading(text string) { fmt.Fprintf(d.out, "\n=== %s ===\n", text) }
