// Package provision decides what becomes of each declared secret in each of its vaults, and does it.
//
// It has two acts. [MakePlan] looks at metadata alone, one version list per secret and vault, and returns a [Plan]: for
// each of them create, rotate, recover, keep or refuse, and why. Nothing is written and nothing is generated before a
// plan is there to be read. [Plan.Apply] carries it out and tells of each step as it ends.
//
// What it promises:
//
//   - Only a clean "not there" becomes a create. A look-up that fails, for whatever reason, becomes a refusal of that
//     secret, and the others go on.
//   - A secret whose current version this action did not make is written with [Options.Adopt] only; the shadow of a
//     certificate never.
//   - The current version is the newest enabled one by its whole-second timestamp. A tie is settled by the tags that the
//     vault's own list shows for the current version; where these cannot settle it, the secret is refused, never guessed.
//   - A secret that is in several vaults has one value: it is generated once and goes to all of them under one operation,
//     or, where one of them must be refused before anything is written, to none.
//   - A version is disabled only where the declaration asks for it, in modes rotate and force, and never the current one
//     nor one that this action did not make.
//   - After a stop no secret is started. Each step, started or not, has its [Result].
//
// What it cannot do: Key Vault has no compare-and-set, so two runs at once may both set a secret; a workflow keeps them
// apart with its concurrency group. A value lives from its generation to the end of [Vault.Set], in no type of this
// package: whoever holds a Plan or a Result holds names, versions and reasons.
package provision

import (
	"context"
	"time"

	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/keyvault"
	"keyvault-passwords/internal/refusal"
)

// A Vault is what this package needs of one Key Vault. No method returns a value. Calls may be concurrent.
type Vault interface {
	// Now returns the vault's own time, as its answers tell it, so that a runner whose clock is wrong rotates nothing.
	Now() time.Time
	// Versions returns every version of a secret, in no order. Where the vault has no such secret, and only then, the
	// list is empty and the error nil.
	Versions(ctx context.Context, name string) ([]keyvault.Version, error)
	// Current returns the tags that the vault's own list of secrets shows for the current version, and whether the
	// secret is in that list.
	Current(ctx context.Context, name string) (map[string]string, bool, error)
	// Deleted returns the soft-deleted secrets by lower-case name.
	Deleted(ctx context.Context) (map[string]keyvault.Deleted, error)
	// Set makes a new version, once, whatever happens to the answer.
	Set(ctx context.Context, name string, v keyvault.NewVersion) (keyvault.Stored, error)
	// Disable disables one version. Once ctx is done it does nothing, as all of these but a Set that is under way.
	Disable(ctx context.Context, name, version string) error
	// Recover brings a soft-deleted secret back, and returns when it is there.
	Recover(ctx context.Context, name string) error
}

// A Mode is how far a run goes.
type Mode string

// The modes.
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
	Concurrency    int    // secrets in flight at once, over all vaults. Less than 1: 8
	Run            string // the run tag of new versions, OWNER/REPO/RUN_ID/ATTEMPT. "": no such tag
}

// workers returns the number of secrets in flight.
func (o Options) workers() int {
	if o.Concurrency < 1 {
		return 8
	}
	return o.Concurrency
}

// An Action is what a step does to one secret in one vault.
type Action string

// The actions. Disabling superseded versions may come with Keep, Rotate and Create: see Step.Disable.
const (
	Create  Action = "create"  // the first version
	Rotate  Action = "rotate"  // a new version of what is there
	Recover Action = "recover" // bring back what was soft-deleted, then a new version
	Keep    Action = "keep"    // nothing is written
	Refuse  Action = "refuse"  // nothing is written, and the run fails
)

// writes reports whether the action makes a version.
func (a Action) writes() bool { return a == Create || a == Rotate || a == Recover }

// A Due is why a secret gets a new version.
type Due string

// The reasons. A Step of the zero Due is not due: it is kept, refused, or created because it is not there.
const (
	DueAge      Due = "age"      // the current version is as old as rotate.after
	DueExpiry   Due = "expiry"   // it expires within rotate.before-expiry
	DuePolicy   Due = "policy"   // it was made to another policy, and rotate.on-policy-change is set
	DueDiverged Due = "diverged" // the secret's vaults do not hold the same value, as far as operation tags tell
	DueForced   Due = "forced"   // mode force
)

// A Plan is what a run would do: one step per secret and vault, in the order of the declaration.
type Plan struct{ Steps []Step }

// A Step is one secret in one vault: what would be done, and why.
type Step struct {
	Secret   *declaration.Secret
	Vault    string // the vault's real name
	Action   Action
	Due      Due
	Reason   string           // why this action, short: "made 61d ago, rotate after 60d"
	Remedy   string           // of Refuse: what to do about it
	Current  keyvault.Version // the current version before the step. Zero: none, or not known
	Foreign  bool             // this action did not make Current
	Disable  []string         // superseded versions to disable; after the set where there is one
	Versions int              // how many there are before the step, disabled ones included
	Expires  time.Time        // when the version that the step ends with expires. Zero: never, or none
	Next     time.Time        // the earliest rotation of that version, by the declaration; may be past. Zero: none
	Policy   string           // the policy of the value that the step ends with, as its tag says. "": not known
	Entropy  string           // of that value, part by part: "209.54 bits". "": not known, since nobody counted its policy
	Warnings []string

	carried map[string]string // the tags of Current that a new version keeps
	kind    refusal.Kind      // of Refuse: the vault's, if it is the vault that refused
}

// A Result is how a step ended.
type Result struct {
	Step       *Step
	Version    string        // the ID of what the vault holds as current after the step. "": none, or not known
	Changed    bool          // Version was made by this step
	Expires    time.Time     // when Version expires. Zero: never, or none
	Next       time.Time     // the earliest rotation of Version, by the declaration. Zero: none
	Disabled   []string      // versions that the step disabled
	Duplicates []string      // versions that the service made besides Version, of the same operation and value
	Err        error         // an *Error: why the step did not end as declared. Nil: it did
	Elapsed    time.Duration // from the step's start. 0: nothing was sent for it
}

// An Error is why a step did not end as declared. It keeps the words of what caused it and not the cause itself, which
// could lead to anything.
type Error struct {
	Reason string       // one sentence: the act and what was seen
	Remedy string       // what to do about it; "" if unknown
	Kind   refusal.Kind // of the vault's refusal; Other where the refusal is not the vault's
}

// Error returns the reason and the remedy.
func (e *Error) Error() string {
	if e.Remedy == "" {
		return e.Reason
	}
	return e.Reason + "; " + e.Remedy
}
