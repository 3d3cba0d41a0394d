package keyvault_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/test/emulator"
)

// between is a network where something between the client and the vault gives its own answer to sets, or to recoveries:
// after the vault has done them, or without asking it.
type between struct {
	http.RoundTripper
	recoveries bool
	after      bool
	status     int
	header     http.Header
	body       string
	times      int // less than 0: always
}

func (b *between) RoundTrip(request *http.Request) (*http.Response, error) {
	spoilt := request.Method == http.MethodPut && request.ContentLength != 0
	if b.recoveries {
		spoilt = strings.HasSuffix(request.URL.Path, "/recover")
	}
	if !spoilt || b.times == 0 {
		return b.RoundTripper.RoundTrip(request)
	}
	b.times--
	if b.after {
		response, err := b.RoundTripper.RoundTrip(request)
		if err != nil {
			return nil, err
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
	return &http.Response{
		StatusCode: b.status, Header: b.header.Clone(), Body: io.NopCloser(strings.NewReader(b.body)),
		ContentLength: int64(len(b.body)), Request: request, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

// statuses are what may come instead of the vault's answer.
var statuses = []int{
	101, 200, 201, 202, 203, 204, 206, 301, 304, 307, 400, 401, 403, 404, 407, 408, 409, 413, 418, 421, 425, 429, 451,
	499,
	500, 502, 503, 511, 525, 600, 999,
}

// forms are the forms of such an answer. None is Key Vault's: that has a request ID, and a code in JSON.
var forms = []struct {
	name   string
	header http.Header
	body   string
}{
	{"empty", nil, ""},
	{"HTML", http.Header{"Content-Type": {"text/html"}}, "<html><h1>Blocked by policy</h1></html>"},
	{"HTML with a request ID", http.Header{"X-Ms-Request-Id": {"0b1c"}}, "<html></html>"},
	{"JSON", nil, `{"message":"blocked"}`},
	{"JSON with a request ID", http.Header{"X-Ms-Request-Id": {"0b1c"}}, `{"error":"blocked"}`},
	{"a code without a request ID", nil, `{"error":{"code":"Forbidden","message":"x"}}`},
	{"a request ID without a code", http.Header{"X-Ms-Request-Id": {"0b1c"}}, `{"error":{"code":""}}`},
	{"a challenge", http.Header{"Www-Authenticate": {
		`Bearer authorization="https://login.microsoftonline.com/t", resource="https://vault.azure.net"`,
	}}, ""},
	{"another secret", nil,
		`{"id":"https://kv-example.vault.azure.net/secrets/another/0123456789abcdef0123456789abcdef"}`},
	{"another vault", nil,
		`{"id":"https://kv-other.vault.azure.net/secrets/a-secret/0123456789abcdef0123456789abcdef"}`},
	{"a version without tags", nil, `{"id":"https://kv-example.vault.azure.net/secrets/a-secret/` +
		`0123456789abcdef0123456789abcdef"}`},
	{"another operation", nil, `{"id":"https://kv-example.vault.azure.net/secrets/a-secret/` +
		`0123456789abcdef0123456789abcdef","tags":{"operation":"op0"}}`},
}

// Whatever answers for the vault after it has stored a value, the version is found, and stays the only one.
func TestStoredWhateverAnswers(t *testing.T) {
	for _, status := range statuses {
		for _, form := range forms {
			for _, times := range []int{1, -1} {
				t.Run(fmt.Sprintf("%d %s, times %d", status, form.name, times), func(t *testing.T) {
					with(t, func(t *testing.T, b *bench) {
						network := &between{
							RoundTripper: b.network, after: true, status: status, header: form.header,
							body: form.body, times: times,
						}
						b.Client = b.client(t, network, vaultName)
						stored, err := b.Set(t.Context(), "a-secret", newVersion("op1"))
						if err != nil {
							t.Fatalf("Set: %v; want the version that was stored", err)
						}
						if n := b.count("a-secret"); n != 1 || len(stored.Duplicates) > 0 {
							t.Errorf("%d versions, duplicates %v; want one", n, stored.Duplicates)
						}
						if stored.Version != b.emulator.Holds()[0].Version {
							t.Error("Set names a version that the vault does not hold")
						}
					})
				})
			}
		}
	}
}

// What answers for the vault before it has stored a value leaves a doubt, which is told. It is never told as a refusal
// by the vault.
func TestNotStoredWhateverAnswers(t *testing.T) {
	for _, status := range statuses {
		for _, form := range forms {
			t.Run(fmt.Sprintf("%d %s", status, form.name), func(t *testing.T) {
				with(t, func(t *testing.T, b *bench) {
					network := &between{
						RoundTripper: b.network, status: status, header: form.header, body: form.body, times: -1,
					}
					b.Client = b.client(t, network, vaultName)
					_, err := b.Set(t.Context(), "a-secret", newVersion("op1"))
					if !isKind(err, refusal.Ambiguous) || !strings.Contains(err.Error(), "may have been stored") {
						t.Errorf("Set: %v; want it said that the version may have been stored", err)
					}
					for _, foreign := range []string{"blocked", "Blocked", "op0", "0b1c"} {
						if strings.Contains(fmt.Sprint(err), foreign) {
							t.Errorf("Set: %v; want nothing of the answer in it", err)
						}
					}
				})
			})
		}
	}
}

// Once a send is in doubt, an answer in Key Vault's own form to the next one is no end of it: the first may be stored
// in the meantime.
func TestDoubtOutlivesAnAnswer(t *testing.T) {
	for _, second := range []emulator.Fault{
		throttled("set", "20", 0),
		{Operation: "set", Kind: emulator.StaleToken},
		{Operation: "set", Kind: emulator.Status, Status: 409, Code: "Conflict", Inner: "ObjectIsBeingDeleted"},
		forbidden("set", "ForbiddenByRbac", 0),
		{Operation: "set", Kind: emulator.Status, Status: 400, Code: "BadParameter"},
	} {
		t.Run(fmt.Sprint(second.Kind, second.Status), func(t *testing.T) {
			with(t, func(t *testing.T, b *bench) {
				// The first send is stored just after it was searched for, so while the second is on its way or waits.
				b.emulator.Fault(emulator.Fault{Operation: "set", Kind: emulator.Late, Delay: 2600 * 1e6})
				second.Nth = 2
				b.emulator.Fault(second)
				stored, err := b.Set(t.Context(), "a-secret", newVersion("op1"))
				if err != nil || b.count("a-secret") != 1 || len(stored.Duplicates) > 0 {
					t.Errorf("Set: %v, %d versions; want the one that was stored", err, b.count("a-secret"))
				}
			})
		})
	}
}

// A refusal in Key Vault's own form was not applied. Should something imitate the form, or have done what it refuses,
// the version is found too.
func TestImitatedRefusal(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 405, 409, 413, 415, 421, 425, 429, 451, 499} {
		for _, times := range []int{1, -1} {
			t.Run(fmt.Sprintf("%d, times %d", status, times), func(t *testing.T) {
				storedThough(t, emulator.Fault{Kind: emulator.Status, Status: status, Times: times})
			})
		}
	}
	t.Run("being deleted", func(t *testing.T) {
		storedThough(t, emulator.Fault{
			Kind: emulator.Status, Status: 409, Code: "Conflict", Inner: "ObjectIsBeingDeleted", Times: -1,
		})
	})
}

// storedThough sets a secret that the vault stores before the fault answers.
func storedThough(t *testing.T, fault emulator.Fault) {
	t.Helper()
	fault.Operation, fault.Phase = "set", emulator.After
	with(t, func(t *testing.T, b *bench) {
		b.emulator.Fault(fault)
		stored, err := b.Set(t.Context(), "a-secret", newVersion("op1"))
		if err != nil || b.count("a-secret") != 1 || stored.Version != b.emulator.Holds()[0].Version {
			t.Errorf("Set: %v, %d versions; want the one that was stored", err, b.count("a-secret"))
		}
	})
}

// A list that is of another secret, or of another vault, is not this one's: no version of it is reported.
func TestListOfAnother(t *testing.T) {
	const version = "0123456789abcdef0123456789abcdef"
	for _, id := range []string{
		"https://kv-example.vault.azure.net/secrets/another/" + version,
		"https://kv-other.vault.azure.net/secrets/a-secret/" + version,
		"https://kv-example.vault.azure.net/keys/a-secret/" + version,
		"https://kv-example.vault.azure.net/secrets/a-secret",
	} {
		t.Run(id, func(t *testing.T) {
			with(t, func(t *testing.T, b *bench) {
				page := `{"value":[{"id":"` + id + `","attributes":{"enabled":true,"created":1}}],"nextLink":null}`
				proxy := &answering{RoundTripper: b.network, response: &http.Response{
					StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(page)),
				}, method: http.MethodGet, times: 1}
				b.Client = b.client(t, proxy, vaultName)
				if versions, err := b.Versions(t.Context(), "a-secret"); err == nil {
					t.Errorf("Versions: %v; want it refused", versions)
				}
			})
		})
	}
}

// A recovery too is looked for, whatever answers for the vault.
func TestRecoveredWhateverAnswers(t *testing.T) {
	for _, after := range []bool{true, false} {
		for _, status := range []int{204, 302, 401, 403, 404, 409, 451, 502} {
			t.Run(fmt.Sprint(after, status), func(t *testing.T) {
				with(t, func(t *testing.T, b *bench) {
					b.emulator.Grant(emulator.DefaultClient, vaultName, emulator.Recover)
					b.plant(t, "a-secret", nil)
					if err := b.emulator.Remove(vaultName, "a-secret"); err != nil {
						t.Fatal(err)
					}
					network := &between{
						RoundTripper: b.network, recoveries: true, after: after, status: status, times: -1,
					}
					b.Client = b.client(t, network, vaultName)
					if _, err := b.Deleted(t.Context()); err != nil {
						t.Fatal(err)
					}
					start := time.Now()
					err := b.Recover(t.Context(), "a-secret")
					if (err == nil) != after || time.Since(start) > 30*time.Second {
						t.Errorf("Recover: %v after %s; want it done: %t", err, time.Since(start), after)
					}
				})
			})
		}
	}
}

// The other acts tell of such an answer too, in words that do not make it the vault's.
func TestStrangeAnswerToAList(t *testing.T) {
	for _, status := range []int{401, 403, 404, 409, 451, 502} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			with(t, func(t *testing.T, b *bench) {
				page := &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody}
				proxy := &answering{RoundTripper: b.network, response: page, method: http.MethodGet, times: -1}
				b.Client = b.client(t, proxy, vaultName)
				versions, err := b.Versions(t.Context(), "a-secret")
				if err == nil || !strings.Contains(err.Error(), "not in Key Vault's own form") {
					t.Errorf("Versions: %v, %v; want a refusal that does not blame the vault", versions, err)
				}
			})
		})
	}
}
