package emulator

import (
	"bytes"
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Kind is what goes wrong.
type Kind string

// The kinds of faults.
const (
	Status     Kind = "status"      // answers Status (0 is 503, or 401 with an AADSTS Code) in the service's shape
	Cut        Kind = "cut"         // the connection ends without an answer
	Slow       Kind = "slow"        // the answer comes Delay later
	Truncated  Kind = "truncated"   // the connection ends in the middle of the body
	BigBody    Kind = "big-body"    // Size bytes of white space before the body
	BigHeaders Kind = "big-headers" // a header of Size bytes
	// BadChallenge is a vault's 401 with a WWW-Authenticate that is Message; "" is one that cannot be parsed.
	BadChallenge Kind = "bad-challenge"
	Empty        Kind = "empty"        // 200 with {}
	EmptyValue   Kind = "empty-value"  // 200 with a token that is ""
	NoBody       Kind = "no-body"      // 200 with nothing
	Redirect     Kind = "redirect"     // Status (0 is 307) to Host
	Late         Kind = "late"         // a set answers Status (0 is 503) and is committed Delay later
	Endless      Kind = "endless"      // every page of a list has a next one
	ForeignLink  Kind = "foreign-link" // a list's next page, or a change's operation, is on Host
	ShortPage    Kind = "short-page"   // a list's page has one item, and a next one where there is more
	Injection    Kind = "injection"    // answers Status (0 is 400) with a text that is workflow commands
	Skew         Kind = "skew"         // the service's clock is off by Delay for this request
	Unseen       Kind = "unseen"       // a deletion, recovery or new version is seen only Delay later
	StaleToken   Kind = "stale-token"  // every access token so far is refused from now on
	Failed       Kind = "failed"       // a change of a server is accepted, and ends as failed with Code, and not done
	// Between is an answer that is not the service's: Status (0 is 403) and Body of something on the way to it, with
	// none of the service's headers. In phase After the service has done the request.
	Between Kind = "between"
	// ReadOnly is a region that fails over: a write is refused in the service's recorded words, and nothing is stored.
	// With Times -1 the vault stays so until ClearFaults.
	ReadOnly Kind = "read-only"
	// NoHost and NoName happen to Operation connect: the name does not exist, or its servers fail (SERVFAIL). Status is
	// there what a proxy answers to CONNECT (0 is 503), and Cut is a proxy that ends the connection instead.
	NoHost Kind = "no-host"
	NoName Kind = "no-name"
)

// A Body is what an answer from in between has.
type Body string

// The bodies. Which products answer so is said at their texts.
const (
	Page     Body = ""          // a page of HTML
	Problem  Body = "problem"   // JSON of another shape than the service's
	Likeness Body = "likeness"  // JSON in Key Vault's shape with Code and Inner; x-ms-request-id is what tells it apart
	Echo     Body = "echo"      // the service's own body, passed on without its headers; in phase Before, none
	Nothing  Body = "nothing"   // no body
	HalfPage Body = "half-page" // the connection ends in the middle of the page
)

// A Phase is when a fault happens. Kinds to which it means nothing ignore it.
type Phase int

// The phases.
const (
	Before Phase = iota // the request changes nothing
	After               // the request is done, its answer is lost
)

// A Fault is something that goes wrong, and when. What is left zero does not restrict, or has the default of its kind.
type Fault struct {
	Operation string // as Requests names it; "" is any request to a service
	Vault     string // the vault's name; "" is any
	Secret    string // the secret's name, case ignored; "" is any
	Nth       int    // at which request that fits, from 1, counted since Fault was called; 0 is the first
	Every     int    // from there at every so many-th: 2 is one of two front ends that know different things
	Times     int    // at how many of these; 0 is one, negative is all
	Kind      Kind
	Phase     Phase

	Status     int
	Code       string // the service's code: Throttled, AADSTS700213, ...
	Inner      string // the vault's inner code: one that the network or a role gives has the vault's own message
	Message    string
	Body       Body   // of an answer from in between
	RetryAfter string // the header as sent: seconds or a date
	Header     string // one more header, "Name: value": retry-after-ms: 250
	Delay      time.Duration
	Size       int    // of what is too big; 0 is 16 MiB
	Host       string // where to; "" is elsewhere.vault.azure.net, which does not resolve
}

// A Fired is a fault that happened.
type Fired struct {
	Fault     Fault
	Operation string
	Vault     string // the host that was asked
	Secret    string
	At        time.Time
}

// faults is the schedule.
type faults struct {
	mu        sync.Mutex
	scheduled []*scheduled
	fired     []Fired
}

type scheduled struct {
	Fault
	seen int // requests that fit
}

// paging is how a list's pages are wrong.
type paging struct {
	short, endless bool
	host           string
}

// Fault schedules a fault. Where several are due at one request, the first scheduled happens.
func (e *Emulator) Fault(f Fault) {
	e.faults.mu.Lock()
	defer e.faults.mu.Unlock()
	e.faults.scheduled = append(e.faults.scheduled, &scheduled{Fault: f})
}

// ClearFaults takes back what is scheduled. The log stays.
func (e *Emulator) ClearFaults() {
	e.faults.mu.Lock()
	defer e.faults.mu.Unlock()
	e.faults.scheduled = nil
}

// FaultLog returns the faults that happened, in order.
func (e *Emulator) FaultLog() []Fired {
	e.faults.mu.Lock()
	defer e.faults.mu.Unlock()
	return append([]Fired(nil), e.faults.fired...)
}

// due counts a call in every fault that it fits, and returns the first that is due at it.
func (f *faults) due(c *call) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found *Fault
	for _, s := range f.scheduled {
		if !s.fits(c) {
			continue
		}
		s.seen++
		if found == nil && s.isDue() {
			found = &s.Fault
			f.fired = append(f.fired, Fired{
				Fault:     s.Fault,
				Operation: c.operation,
				Vault:     c.host,
				Secret:    c.name,
				At:        c.now,
			})
		}
	}
	return found
}

// restricted are the kinds that mean something to some operations alone.
var restricted = map[Kind][]string{
	Late:        {"set"},
	Endless:     {"versions", "list", "list-deleted"},
	ForeignLink: {"versions", "list", "list-deleted", "update-server"},
	ShortPage:   {"versions", "list", "list-deleted"},
	Unseen:      {"set", "delete", "recover"},
	Failed:      {"update-server"},
	EmptyValue:  {"oidc", "token"},
	ReadOnly:    {"set", "update", "delete", "recover"},
	NoHost:      {opConnect},
	NoName:      {opConnect},
}

// opConnect is the operation of opening a connection to a host, which is no request to a service.
const opConnect = "connect"

// onTheWay are the kinds that may happen to a connection.
var onTheWay = []Kind{Status, Cut, Slow, NoHost, NoName}

func (f *Fault) fits(c *call) bool {
	name, _, _ := strings.Cut(c.host, ".")
	if operations := restricted[f.Kind]; operations != nil && !slices.Contains(operations, c.operation) {
		return false
	}
	if c.vault == nil && (f.Kind == BadChallenge || f.Kind == StaleToken && !c.isManager()) {
		return false
	}
	if c.operation == opConnect && (f.Operation != opConnect || !slices.Contains(onTheWay, f.Kind)) {
		return false
	}
	return (f.Operation == "" || f.Operation == c.operation) &&
		(f.Vault == "" || strings.EqualFold(f.Vault, name)) &&
		(f.Secret == "" || strings.EqualFold(f.Secret, c.name))
}

func (s *scheduled) isDue() bool {
	since, every := s.seen-max(s.Nth, 1), max(s.Every, 1)
	return since >= 0 && since%every == 0 && (s.Times < 0 || since/every < max(s.Times, 1))
}

// apply handles a call with the fault that is due at it, if any.
func (f *faults) apply(c *call, handle handler) answer {
	fault := f.due(c)
	if fault == nil {
		return handle(c)
	}
	fault.prepare(c)
	var a answer
	if fault.Phase == After && fault.Kind != ReadOnly || !fault.replaces() {
		a = handle(c)
	}
	return fault.spoil(c, a)
}

// replaces tells whether the answer is the fault's own, so that the service need not be asked.
func (f *Fault) replaces() bool {
	switch f.Kind {
	case Status, Cut, BadChallenge, Empty, EmptyValue, NoBody, Redirect, Injection, StaleToken, Between, ReadOnly:
		return true
	}
	return false
}

// prepare changes what the service works with.
func (f *Fault) prepare(c *call) {
	switch f.Kind {
	case Slow:
		if f.Phase == Before {
			c.wait(f.Delay)
			c.now = c.e.Now()
		}
	case Late:
		c.late = max(f.Delay, 1)
	case Endless:
		c.paging.endless = true
	case ForeignLink:
		c.paging.host = f.host()
	case ShortPage:
		c.paging.short = true
	case Skew:
		c.now = c.now.Add(f.Delay)
	case Unseen:
		c.unseen = f.Delay
	case StaleToken:
		c.e.revokeTokens()
	case Failed:
		c.failing = armBad(cmp.Or(f.Code, "InternalServerError"), cmp.Or(f.Message, "The operation has failed."))
	}
}

// injected is text that a careless log would hand to the runner as commands.
const injected = "refused\n::add-mask::e\r\n::set-output name=versions::forged\n" +
	"##[error]forged ##[add-mask]a|`<b>\x1b[31m"

// spoil turns the service's answer into the fault's.
func (f *Fault) spoil(c *call, a answer) answer {
	switch f.Kind {
	case Cut:
		panic(http.ErrAbortHandler)
	case Slow:
		if f.Phase == After {
			c.wait(f.Delay)
		}
	case Late:
		if a.status == http.StatusNoContent { // else the service refused at once
			a = f.refusal(c, http.StatusServiceUnavailable, f.Message)
		}
	case Truncated:
		a.truncated = true
	case BigBody:
		a.body = append(bytes.Repeat([]byte(" "), f.size()), a.bytes()...)
	case BigHeaders:
		a.header = withHeader(a.header, "X-Padding", strings.Repeat("x", f.size()))
	}
	if f.replaces() {
		a = f.answer(c, a)
	}
	if f.RetryAfter != "" {
		a.header = withHeader(a.header, "Retry-After", f.RetryAfter)
	}
	if name, value, found := strings.Cut(f.Header, ": "); found {
		a.header = withHeader(a.header, name, value)
	}
	return a
}

// answer is what comes instead of the service's own.
func (f *Fault) answer(c *call, own answer) answer {
	switch f.Kind {
	case Between:
		return f.between(c, own)
	case ReadOnly:
		return readOnly(c.operation).answer()
	case Injection:
		return f.refusal(c, http.StatusBadRequest, injected)
	case BadChallenge, StaleToken:
		return f.challenge(c)
	case Empty:
		return answer{status: http.StatusOK, body: []byte("{}")}
	case EmptyValue:
		return answer{status: http.StatusOK, body: map[string]any{
			"count": 0, "value": "", // GitHub's
			"token_type": "Bearer", "expires_in": 3599, "access_token": "", // Entra's
		}}
	case NoBody:
		return answer{status: http.StatusOK}
	case Redirect:
		to := "https://" + f.host() + c.request.URL.RequestURI()
		return answer{status: cmp.Or(f.Status, http.StatusTemporaryRedirect), header: withHeader(nil, "Location", to)}
	}
	return f.refusal(c, http.StatusServiceUnavailable, f.Message)
}

func (f *Fault) host() string { return cmp.Or(f.Host, "elsewhere."+clouds[0].domain) }
func (f *Fault) size() int    { return cmp.Or(f.Size, 16<<20) }

// refusal words an error as the service that was asked would.
func (f *Fault) refusal(c *call, status int, message string) answer {
	if c.isManager() {
		return f.managerRefusal(c, cmp.Or(f.Status, status), message)
	}
	if c.vault == nil && !strings.HasSuffix(c.host, githubDomain) {
		return f.entraRefusal(c, status, message)
	}
	status = cmp.Or(f.Status, status)
	message = cmp.Or(message, http.StatusText(status)+".")
	if c.vault == nil {
		return githubRefusal(status, message)
	}
	if status == http.StatusUnauthorized {
		return c.refuseToken(message) // a vault's 401 says who issues a token
	}
	denied := c.denied(f.Inner)
	if denied != nil && f.Message == "" && cmp.Or(f.Status, denied.status) == denied.status {
		return denied.answer()
	}
	code := cmp.Or(f.Code, defaultCode(status))
	return (&refusal{status: status, code: code, inner: f.Inner, message: message}).answer()
}

// managerRefusal is one of Resource Manager's. A 429 is as
// https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling has it.
func (f *Fault) managerRefusal(c *call, status int, message string) answer {
	code := cmp.Or(f.Code, defaultCode(status))
	if status == http.StatusTooManyRequests {
		code = cmp.Or(f.Code, "TooManyRequests")
	}
	message = cmp.Or(message, http.StatusText(status)+".")
	if status == http.StatusUnauthorized {
		return c.refuseManagerToken(cmp.Or(f.Code, "ExpiredAuthenticationToken"), message).answer()
	}
	return (&refusal{status: status, code: code, message: message}).answer()
}

// entraRefusal is one with an AADSTS number, in the words that belong to it and the assertion presented.
func (f *Fault) entraRefusal(c *call, status int, message string) answer {
	number, err := strconv.Atoi(strings.TrimPrefix(f.Code, "AADSTS"))
	if err != nil {
		number = 90033
	} else if f.Kind == Status {
		status = statusOf(number)
	}
	status = cmp.Or(f.Status, status)
	message = cmp.Or(message, federationMessage(number, c.presented()))
	return c.entraRefusal(status, cmp.Or(f.Inner, entraCode(status)), number, message)
}

// statusOf is the status with which Entra says a number: most that are a fault's are about the assertion.
func statusOf(number int) int {
	switch number {
	case 700016, 90002, 900023:
		return http.StatusBadRequest
	case 90033:
		return http.StatusServiceUnavailable
	}
	return http.StatusUnauthorized
}

// defaultCode is Key Vault's code for a status.
func defaultCode(status int) string {
	switch status {
	case http.StatusTooManyRequests:
		return "Throttled"
	case http.StatusServiceUnavailable:
		return "ServiceUnavailable"
	case http.StatusInternalServerError:
		return "InternalServerError"
	}
	return strings.ReplaceAll(http.StatusText(status), " ", "")
}

// entraCode is OAuth's code for a status. https://www.rfc-editor.org/rfc/rfc6749#section-5.2
func entraCode(status int) string {
	switch {
	case status == http.StatusUnauthorized:
		return "invalid_client"
	case status >= http.StatusInternalServerError, status == http.StatusTooManyRequests:
		return "temporarily_unavailable"
	}
	return "invalid_request"
}

// challenge is a 401 that a client must survive: one that says nothing of use, or one for a token it trusts.
func (f *Fault) challenge(c *call) answer {
	if c.isManager() {
		return f.managerRefusal(c, http.StatusUnauthorized, f.Message)
	}
	if f.Kind == StaleToken {
		return c.refuseToken(cmp.Or(f.Message, tokenExpired))
	}
	a := c.refuseToken(noToken)
	// A tenant is sought behind the third slash: https://github.com/Azure/azure-sdk-for-go, keyvault/internal v1.2.0.
	unreadable := fmt.Sprintf(`Bearer authorization="https:/x", resource="https://%s"`, c.vault.options.Domain)
	header := cmp.Or(f.Message, unreadable)
	a.header = withHeader(nil, "Www-Authenticate", header)
	return a
}

func withHeader(h http.Header, key, value string) http.Header {
	h = h.Clone()
	if h == nil {
		h = http.Header{}
	}
	h.Set(key, value)
	return h
}
