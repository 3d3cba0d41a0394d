// Package refusal is the one shape of why something was not done: what was being done, what was seen, and what to do
// about it. Every package that refuses something returns a [Refusal] or an error that embeds one, so that a caller can
// name the act in its own words, tell kinds apart, and report equal refusals once, without reading any text.
//
// A refusal holds no value, no token, no body of an answer, and no URL with a query. Its texts may hold names from
// outside; whoever prints them escapes them.
package refusal

import "errors"

// A Kind is what a refusal is about, as far as callers must tell one from another.
type Kind int

// The kinds of refusal.
const (
	Other        Kind = iota
	NotFound          // the service answered that there is no such thing
	Forbidden         // the service does not allow it: a role, an access policy, a firewall, an Azure Policy
	SoftDeleted       // the name is taken by a soft-deleted secret: recover or purge frees it
	BeingDeleted      // the name is being deleted or recovered: this passes by itself
	Ambiguous         // it may or may not have been done, and the service could not tell
	Cancelled         // the run was stopped before it was done
	Unreachable       // no answer: DNS, TCP, TLS, a proxy
	Identity          // no access token
	ReadOnly          // the service takes no writes for now
	TooMany           // a list is longer than this action reads
)

// A Refusal is why something was not done. Cause is required.
type Refusal struct {
	Act    string // what was being done, as a gerund: "looking it up". "": the caller says
	Cause  string // one sentence: what was seen
	Remedy string // what to do about it; may have several lines. "": unknown
	Trace  string // what the service's support asks for: "request ID 0b1c". "": none
	Kind   Kind
}

// Seen returns the act and what was seen, with the trace.
func (r Refusal) Seen() string {
	text := r.Cause
	if r.Act != "" {
		text = r.Act + ": " + text
	}
	if r.Trace != "" {
		text += " (" + r.Trace + ")"
	}
	return text
}

// Error returns what was seen, and the remedy.
func (r Refusal) Error() string {
	if r.Remedy == "" {
		return r.Seen()
	}
	return r.Seen() + "; " + r.Remedy
}

// During returns r as met during another act.
func (r Refusal) During(act string) Refusal {
	r.Act = act
	return r
}

// Within returns r as the cause of the failure of another act, which needed the one that r is about.
func (r Refusal) Within(act string) Refusal {
	if r.Act != "" {
		r.Cause = r.Act + ": " + r.Cause
	}
	return r.During(act)
}

// self makes every type that embeds a Refusal one that [Of] finds, and no other.
func (r Refusal) self() Refusal { return r }

// Of returns the refusal that err is, embeds or wraps. Any other error is a refusal of kind Other: its text is the
// cause. Callers pass only errors whose text may be printed. Of nil is the zero Refusal.
func Of(err error) Refusal {
	if err == nil {
		return Refusal{}
	}
	if r, ok := errors.AsType[interface {
		error
		self() Refusal
	}](err); ok {
		return r.self()
	}
	return Refusal{Cause: err.Error()}
}
