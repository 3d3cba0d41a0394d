package action

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/provision"
	"keyvault-passwords/internal/runner"
)

// The names of the inputs, as in action.yml.
const (
	inputTenantID       = "tenant-id"
	inputClientID       = "client-id"
	inputVault          = "vault"
	inputCloud          = "cloud"
	inputAudience       = "audience"
	inputFile           = "file"
	inputSecrets        = "secrets"
	inputMode           = "mode"
	inputDryRun         = "dry-run"
	inputOnly           = "only"
	inputMaskOutputs    = "mask-outputs"
	inputAdopt          = "adopt"
	inputRecoverDeleted = "recover-deleted"
	inputConcurrency    = "concurrency"
	inputTimeout        = "timeout"
	inputWaitForAccess  = "wait-for-access"
	inputReport         = "report"
	inputFailOn         = "fail-on"
)

// The names of the outputs, likewise.
const (
	outputNames    = "names"
	outputVersions = "versions"
	outputChanged  = "changed"
	outputName     = "name"
	outputVersion  = "version"
	outputDue      = "due"
)

// InputNames returns the inputs in the order of the documentation, for the tests that hold action.yml and the README
// against the code. OutputNames does the same for the outputs.
func InputNames() []string {
	return []string{inputTenantID, inputClientID, inputVault, inputCloud, inputAudience, inputFile, inputSecrets,
		inputMode,
		inputDryRun, inputOnly, inputMaskOutputs, inputAdopt, inputRecoverDeleted, inputConcurrency, inputTimeout,
		inputReport, inputFailOn, inputWaitForAccess}
}

// OutputNames returns the outputs in the order of the documentation.
func OutputNames() []string {
	return []string{outputNames, outputVersions, outputChanged, outputName, outputVersion, outputDue}
}

// A masking is which outputs are masked in the rest of the job's log.
type masking string

const (
	maskAll      masking = "all"
	maskVersions masking = "versions"
	maskNone     masking = "none"
)

// inputs are the step's inputs, checked.
type inputs struct {
	tenantID, clientID string // "" where not given
	audience           string // "" for the cloud's own
	source             source
	mode               provision.Mode
	dryRun             bool
	only               selection
	masking            masking
	adopt, recover     bool
	concurrency        int
	timeout            time.Duration
	waitForAccess      time.Duration // 0: nothing is waited for
	reports            []string      // paths in the workspace
	failOn             threshold
}

const concurrencyMax = 64

// A source is where the declaration is: its text comes with the inputs, or is in a file that is read later.
type source struct {
	declaration.Source
	file string // in the workspace; "" if the text is inline, or nothing is given
}

// readInputs reads and checks every input. It returns all mistakes, each with the input's name; no file is read and
// nothing is contacted.
func readInputs(r *runner.Runner) (in inputs, problems []error) {
	c := checker{runner: r}
	in.tenantID = c.id(inputTenantID, "AZURE_TENANT_ID")
	in.clientID = c.id(inputClientID, "AZURE_CLIENT_ID")
	cloud := c.cloud()
	in.audience = r.Input(inputAudience)
	in.mode = provision.Mode(c.oneOf(inputMode, string(provision.ModeEnsure), string(provision.ModeRotate),
		string(provision.ModeForce), string(modeCheck), string(modeAudit)))
	in.masking = masking(c.oneOf(inputMaskOutputs, string(maskAll), string(maskVersions), string(maskNone)))
	in.dryRun, in.adopt, in.recover = c.boolean(inputDryRun), c.boolean(inputAdopt), c.boolean(inputRecoverDeleted)
	in.concurrency = c.concurrency()
	timeout, ok := c.timeout()
	in.timeout = timeout
	in.waitForAccess = c.waitForAccess(timeout, ok)
	in.only = c.only()
	in.failOn = threshold(c.oneOf(inputFailOn, string(failOnError), string(failOnWarning), string(failOnNever)))
	in.reports = c.reports(in.mode)
	in.source = c.source(cloud, in.mode == modeAudit)
	in.source.NoVaultNeeded = in.mode == modeCheck
	return in, c.problems
}

// A checker reads inputs and collects the mistakes in them.
type checker struct {
	runner   *runner.Runner
	problems []error
}

func (c *checker) problem(input, format string, args ...any) {
	c.problems = append(c.problems, mistake(input, format, args...))
}

// mistake is what is wrong with an input.
func mistake(input, format string, args ...any) error {
	return fmt.Errorf("input "+input+": "+format, args...)
}

// id reads a GUID from an input, or else from a variable of the job.
func (c *checker) id(input, variable string) string {
	from, id := "", c.runner.Input(input)
	if id == "" {
		from, id = " (from "+variable+")", strings.TrimSpace(c.runner.Getenv(variable))
	}
	if id == "" {
		return ""
	}
	if err := azure.CheckID(id); err != nil {
		c.problem(input, "%w%s", err, from)
	}
	return id
}

func (c *checker) cloud() *azure.Cloud {
	name := c.runner.Input(inputCloud)
	if name == "" {
		return nil
	}
	found, err := azure.Parse(name)
	if err != nil {
		c.problem(inputCloud, "%w", err)
		return nil
	}
	return &found
}

// oneOf reads an input that is one of words; the first is the default.
func (c *checker) oneOf(input string, words ...string) string {
	text := c.runner.Input(input)
	if text == "" {
		return words[0]
	}
	for _, word := range words {
		if text == word {
			return word
		}
	}
	c.problem(input, "unknown value %q; expected one of %s", text, strings.Join(words, ", "))
	return words[0]
}

// boolean reads a switch in the six spellings of the YAML 1.2 core schema, as the runner's own toolkit does.
func (c *checker) boolean(input string) bool {
	switch text := c.runner.Input(input); text {
	case "true", "True", "TRUE":
		return true
	case "", "false", "False", "FALSE":
		return false
	default:
		c.problem(input, "%q is not a switch; expected true or false", text)
		return false
	}
}

func (c *checker) concurrency() int {
	const otherwise = 8
	text := c.runner.Input(inputConcurrency)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > concurrencyMax {
		c.problem(inputConcurrency, "%q is out of range; expected a whole number from 1 to %d", text, concurrencyMax)
		return otherwise
	}
	return n
}

// timeout reads how long the run may take, and reports whether it is what the input says.
func (c *checker) timeout() (d time.Duration, ok bool) {
	const otherwise = 10 * time.Minute
	text := c.runner.Input(inputTimeout)
	if text == "" {
		return otherwise, true
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		c.problem(inputTimeout, "%q is not a duration; expected one above zero such as 90s, 10m or 1h30m", text)
		return otherwise, false
	}
	return d, true
}

// waitForAccess reads the wait, which is a part of the timeout, if that is known.
func (c *checker) waitForAccess(timeout time.Duration, known bool) time.Duration {
	text := c.runner.Input(inputWaitForAccess)
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil || d < 0:
		c.problem(inputWaitForAccess, "%q is not a duration; expected one such as 90s, 10m or 1h30m, or 0s for no wait",
			text)
	case d > timeout && known:
		c.problem(inputWaitForAccess, "%s is longer than the timeout of %s, which the wait is a part of; "+
			"expected less, or set timeout to more", text, timeout)
	default:
		return d
	}
	return 0
}

// source reads where the declaration is, its text if it is inline, and the inputs that apply to it. An audit needs
// none: then it is of a whole vault.
func (c *checker) source(cloud *azure.Cloud, auditing bool) (s source) {
	file, inline := c.runner.Input(inputFile), c.runner.Input(inputSecrets)
	s.Cloud = cloud
	s.Vault, s.VaultRefused = c.vault(cloud)
	switch {
	case file != "" && inline != "":
		c.problem(inputFile, "both file and secrets are given; expected one of the two")
	case file == "" && inline == "" && auditing:
		c.noDeclaration(s.Source)
	case file == "" && inline == "":
		c.problem(inputFile,
			"neither file nor secrets is given; expected one of the two, such as file: .github/passwords.yml")
	case inline != "":
		s.File, s.Inline, s.Text = inputSecrets, true, []byte(c.raw(inputSecrets))
	default:
		s.File, s.file = file, file
	}
	return s
}

// raw returns an input untrimmed, so that the columns in messages are those of the workflow's block.
func (c *checker) raw(input string) string {
	return c.runner.Getenv("INPUT_" + strings.ToUpper(input))
}

// vault reads the default vault, which must be in the input's cloud. It is nil if the input is not given or refused.
func (c *checker) vault(in *azure.Cloud) (vault *azure.Vault, refused bool) {
	text := c.runner.Input(inputVault)
	if text == "" {
		return nil, false
	}
	found, err := azure.ParseVault(text)
	switch {
	case err != nil:
		c.problem(inputVault, "%w", err)
	case in != nil && found.Cloud != nil && found.Cloud.Name != in.Name:
		c.problem(inputVault, "the vault is in %s and the input cloud is %s; expected the same",
			found.Cloud.Name, in.Name)
	default:
		return &found, false
	}
	return nil, true
}
