// Package provision decides what becomes of each declared secret in each of its vaults, and does it.
//
// It has two acts. [MakePlan] looks at metadata alone, one version list per secret and vault, and returns a [Plan]: for
// each of them create, rotate, recover, keep or refuse, and why. Nothing is written and nothing is generated before the
// plan can be read. [Plan.Apply] carries it out and reports each step as it ends.
//
// What it promises:
//
//   - Only a clean "not there" becomes a create. A look-up that fails, for whatever reason, becomes a refusal of that
//     secret, and the others go on.
//   - A secret whose current version this action did not make is written with [Options.Adopt] only. One that is managed
//     by a Key Vault certificate is never written.
//   - The current version is the newest one by its whole-second timestamp, in whatever state. A tie is settled by the
//     tags that the vault's own list shows for the current version. If these cannot settle it, the secret is refused,
//     never guessed. Where the current version is disabled, somebody has blocked the secret: only mode force replaces
//     it.
//   - A secret that is in several vaults has one value. It is generated once and goes to all of them under one
//     operation, or, if one of them must be refused before anything is written, to none.
//   - A version is disabled only where the declaration asks for it, in modes rotate and force, and never the current
//     one nor one that this action did not make.
//   - A secret with a target is set there in the same act, in an order that leaves the login in use as it is until the
//     vault has the new password, or ties the two changes to each other as closely as the target allows: see [Target].
//     What the target does not prove to hold is an error, whatever the vault holds.
//   - After a stop no secret is started. Each step, started or not, has its [Result].
//
// What it cannot do: Key Vault has no compare-and-set, so two runs at once may both set a secret; a workflow keeps them
// apart with its concurrency group. A value lives from its generation to the end of [Vault.Set], in no exported field
// of this package: whoever holds a Plan or a Result holds names, versions, dates and reasons.
package provision

import (
	"context"
	"time"

	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/keyvault"
	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/refusal"
)

// Lists is what a plan needs of one Key Vault: metadata. Calls may be concurrent. After ctx is done, no method starts a
// request.
type Lists interface {
	// Now returns the vault's own time, as its answers give it, so that a runner whose clock is wrong rotates nothing.
	Now() time.Time
	// Versions returns every version of a secret, in no order. If the vault has no such secret, and only then, the list
	// is empty and the error nil.
	Versions(ctx context.Context, name string) ([]lifecycle.Version, error)
	// Current returns the tags that the vault's own list of secrets shows for the current version, and whether the
	// secret is in that list.
	Current(ctx context.Context, name string) (map[string]string, bool, error)
	// Deleted returns the soft-deleted secrets by lower-case name.
	Deleted(ctx context.Context) (map[string]keyvault.Deleted, error)
}

// A Vault is what this package needs of one Key Vault. No method returns a value. Calls may be concurrent. After ctx is
// done, no method starts a request; a Set in flight is finished or looked up.
type Vault interface {
	Lists
	// Set makes a new version, once, whatever happens to the answer.
	Set(ctx context.Context, name string, v keyvault.NewVersion) (keyvault.Stored, error)
	// Disable disables one version.
	Disable(ctx context.Context, name, version string) error
	// Tag replaces the tags of one version.
	Tag(ctx context.Context, name, version string, tags map[string]string) error
	// Recover recovers a soft-deleted secret, and returns once it is there.
	Recover(ctx context.Context, name string) error
}

// A Mode is how far a run goes.
type Mode string

// The modes of a run that looks at vaults.
const (
	ModeEnsure Mode = "ensure" // create what is missing, touch nothing that exists
	ModeRotate Mode = "rotate" // that, a new version of whatever is due, and superseded versions disabled
	ModeForce  Mode = "force"  // a new version of everything, and superseded versions disabled
)

// Options says how to plan and apply. The zero value of each field is the cautious one; Mode must be given.
type Options struct {
	Mode           Mode
	Adopt          bool   // may add versions to a secret whose current version this action did not make
	RecoverDeleted bool   // may recover a soft-deleted secret, then set it
	Concurrency    int    // secrets in flight at once, over all vaults. Less than 1: DefaultConcurrency
	Run            string // the run tag of new versions, OWNER/REPO/RUN_ID/ATTEMPT. "": no such tag

	// WaitForAccess is how long a vault's set may wait for access, besides what it takes. A target is locked meanwhile.
	WaitForAccess time.Duration

	// Targets has the target of each secret that has one, by the secret's name as declared. A plan that does not look
	// at one judges by what the vaults hold.
	Targets map[string]Target
}

// DefaultConcurrency is how many secrets are in flight at once where nothing says otherwise.
const DefaultConcurrency = 8

// workers returns the number of secrets in flight.
func (o Options) workers() int {
	if o.Concurrency < 1 {
		return DefaultConcurrency
	}
	return o.Concurrency
}

// A Change is what a step does to one secret in one vault.
type Change string

// The changes. Superseded versions may be disabled with Keep, Rotate and Create: see Step.Disable.
const (
	Create  Change = "create"  // the first version
	Rotate  Change = "rotate"  // a new version of what is there
	Recover Change = "recover" // recover what was soft-deleted, then a new version
	Keep    Change = "keep"    // nothing is written
	Refuse  Change = "refuse"  // nothing is written, and the run fails
)

// Writes reports whether the change makes a version.
func (c Change) Writes() bool { return c == Create || c == Rotate || c == Recover }

// A Plan is what a run would do: one step per secret and vault, in the order of the declaration.
type Plan struct{ Steps []Step }

// A State is what a vault holds of a secret, as far as it is known: the current version and its dates.
type State struct {
	Version string    // the version's ID. "": none, or not known
	Expires time.Time // zero: never, or none
	Next    time.Time // the earliest rotation of that version, by the declaration; may be past. Zero: none
}

func stateOf(terms lifecycle.Terms, v lifecycle.Version) State {
	return State{Version: v.ID, Expires: v.Expires, Next: terms.Next(v)}
}

// A Step is one secret in one vault: what would be done, and why. Its exported fields are what may be shown. What
// draws the value is out of reach for whoever is handed a Step.
type Step struct {
	Name  string            // of the secret, as declared
	Place declaration.Place // of the name in the declaration
	Vault string            // the vault's real name

	Change  Change
	Trigger lifecycle.Trigger // why the secret gets a new version though it has one
	Reason  string            // why this change, short: "made 61d ago, rotate after 60d". "" of Refuse
	Refusal refusal.Refusal   // of Refuse: why, and what to do. Zero of the other changes

	Before  State // what the vault holds before the step
	After   State // what it would hold after it; the ID of a new version is not known yet
	Foreign bool  // this action did not make the current version
	OfRun   bool  // an earlier attempt of this workflow run made it

	Target string // the name of the secret's target. "": it has none
	Login  string // whose password is set there; where nothing is written, the login in use. "": not known

	Disable  []string            // superseded versions to disable; after the set where there is one
	Versions int                 // how many there are before the step, disabled ones included
	Policy   lifecycle.PolicyTag // of the value that the step ends with. "": not known
	Bits     string              // its entropy, part by part: "209.54 + 13.28". "": not known
	Warnings []string

	secret  *declaration.Secret
	current lifecycle.Version
	carried map[string]string // the tags of current that a new version keeps
	holds   *holding          // what the vault holds before the step
	aim     aim               // what is known of the target before the step
}

// An Outcome is what became of a target.
type Outcome string

// The outcomes. The zero Outcome: the secret has no target, or nothing was to be set there.
const (
	Applied         Outcome = "applied"          // it took the password that the vault holds, and proved it
	VaultAhead      Outcome = "vault ahead"      // the vault holds a password that the target does not, or may do so
	TargetUntouched Outcome = "target untouched" // the login in use has the password that it had
)

// A Result is how a step ended.
type Result struct {
	Step     *Step
	After    State    // what the vault holds after the step
	Changed  bool     // this step made After.Version
	OfRun    bool     // this step did, or an earlier attempt of the same workflow run
	Disabled []string // versions that the step disabled
	// a vault of the secret that lacks the value, so that superseded versions stay enabled here
	Lacking    string
	Outcome    Outcome       // what became of the secret's target
	Overtaken  bool          // another run made After.Version meanwhile, so that nothing was written
	Duplicates []string      // versions that the service made besides After.Version, of the same operation and value
	Err        error         // a [refusal.Refusal]: why the step did not end as declared. Nil: it did
	Elapsed    time.Duration // from the step's start. 0: nothing was sent for it

	holds *holding // what the vault holds after the step
}
