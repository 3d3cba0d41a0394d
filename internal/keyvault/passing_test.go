package keyvault_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/test/emulator"
)

// failing is a network where the first requests to vaults do not get through.
type failing struct {
	http.RoundTripper
	err   error
	times int // less than 0: always
	tried int
}

func (f *failing) RoundTrip(request *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(request.URL.Host, ".vault.azure.net") {
		return f.RoundTripper.RoundTrip(request)
	}
	f.tried++
	if f.times != 0 {
		f.times--
		return nil, f.err
	}
	return f.RoundTripper.RoundTrip(request)
}

// What passes is tried again, what lasts is told at once: an answer of the proxy that is asked to connect, and a name
// that does not resolve, for lists and sets alike.
func TestOnTheWay(t *testing.T) {
	missing := &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", IsNotFound: true}}
	silent := &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "timeout", IsTimeout: true}}
	proxyMissing := &net.OpError{Op: "proxyconnect", Net: "tcp", Err: missing}
	rows := []struct {
		name  string
		err   error
		tries int // where it always fails
		told  string
	}{
		{"a name that does not exist", missing, 2, "there is no host kv-example.vault.azure.net"},
		{"a name that was not resolved", silent, 4, "the name could not be resolved"},
		{"a proxy's name that does not exist", proxyMissing, 4, "the proxy to kv-example.vault.azure.net cannot be"},
	}
	for _, status := range []int{408, 425, 429, 500, 502, 503, 504, 522} {
		told := fmt.Sprintf("answered %d", status)
		rows = append(rows, rows[0])
		row := &rows[len(rows)-1]
		row.name, row.err, row.tries, row.told = told, &network.ProxyError{Status: status}, 4, told
	}
	for _, status := range []int{400, 403, 404, 405, 407, 451} {
		told := fmt.Sprintf("answered %d", status)
		rows = append(rows, rows[0])
		row := &rows[len(rows)-1]
		row.name, row.err, row.tries, row.told = told, &network.ProxyError{Status: status}, 1, told
	}
	for _, row := range rows {
		for _, act := range []string{"list", "set"} {
			for _, once := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s %s, once %t", act, row.name, once), func(t *testing.T) {
					with(t, func(t *testing.T, b *bench) {
						way := &failing{RoundTripper: b.network, err: row.err, times: -1}
						if once {
							way.times = 1
						}
						b.Client = b.client(t, way, vaultName)
						var err error
						if act == "set" {
							_, err = b.Set(t.Context(), "a-secret", newVersion("op1"))
						} else {
							_, err = b.Versions(t.Context(), "a-secret")
						}
						if once && row.tries > 1 {
							if err != nil {
								t.Errorf("got %v; want the next try to succeed", err)
							}
							return
						}
						if !isKind(err, refusal.Unreachable) || !strings.Contains(err.Error(), row.told) {
							t.Errorf("got %v; want %q", err, row.told)
						}
						if way.tried != row.tries {
							t.Errorf("%d tries; want %d", way.tried, row.tries)
						}
					})
				})
			}
		}
	}
}

// A list that takes long goes on at the page that failed, and each page has tries of its own.
func TestALongListGoesOnAtItsPage(t *testing.T) {
	with(t, func(t *testing.T, b *bench) {
		const secrets, pages = 450, 18
		for i := range secrets {
			name := fmt.Sprintf("secret-%d", i)
			b.plant(t, name, nil)
			if err := b.emulator.Remove(vaultName, name); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		const failures = 3
		slow := emulator.Fault{Operation: "list-deleted", Kind: emulator.Slow, Delay: time.Second, Times: -1}
		// Pages 5 and 17 fail three times each: more than one list might, and each long after the list began.
		for _, nth := range []int{5, 17 + failures} {
			b.emulator.Fault(emulator.Fault{
				Operation: "list-deleted", Kind: emulator.Status, Status: 503, Nth: nth, Times: failures,
			})
		}
		b.emulator.Fault(slow)
		deleted, err := b.Deleted(t.Context())
		if err != nil || len(deleted) != secrets {
			t.Fatalf("Deleted: %d, %v; want %d", len(deleted), err, secrets)
		}
		if n := b.emulator.Requests()["list-deleted"]; n != pages+2*failures {
			t.Errorf("%d requests; want %d for the pages and %d for the tries", n, pages, 2*failures)
		}
	})
}

// A page that is throttled, refuses a stale token or is cut off is asked for again by itself too.
func TestAPageIsAskedForAgain(t *testing.T) {
	for _, fault := range []emulator.Fault{
		throttled("versions", "", 2),
		{Operation: "versions", Kind: emulator.StaleToken},
		{Operation: "versions", Kind: emulator.Truncated},
		{Operation: "versions", Kind: emulator.Cut},
		{Operation: "versions", Kind: emulator.Empty},
		{Operation: "versions", Kind: emulator.NoBody},
		{Operation: "versions", Kind: emulator.BigBody},
	} {
		t.Run(string(fault.Kind), func(t *testing.T) {
			with(t, func(t *testing.T, b *bench) {
				for i := range 60 {
					b.plant(t, "a-secret", map[string]string{"n": fmt.Sprint(i)})
				}
				fault.Nth = 2
				b.emulator.Fault(fault)
				versions, err := b.Versions(t.Context(), "a-secret")
				if err != nil || len(versions) != 60 {
					t.Fatalf("Versions: %d, %v; want 60", len(versions), err)
				}
				tries := max(fault.Times, 1)
				if fault.Kind == emulator.StaleToken {
					tries = 2 // the SDK tries the same token again
				}
				if n := b.emulator.Requests()["versions"]; n != 3+tries {
					t.Errorf("%d requests; want the 3 pages and the tries of the second", n)
				}
			})
		})
	}
}

// What other tools write as times is read as what it means: none, or a date however far away.
func TestOddTimes(t *testing.T) {
	for _, tc := range []struct {
		exp, nbf string // as in JSON; "": absent
		expires  time.Time
		before   time.Time
	}{
		{"", "", time.Time{}, time.Time{}},
		{"null", "null", time.Time{}, time.Time{}},
		{"0", "0", time.Time{}, time.Time{}},
		{"-1", "-1", time.Time{}, time.Time{}},
		{"-62135596800", "-62135596800", time.Time{}, time.Time{}},
		{"-9223372036854775808", "-9223372036854775808", time.Time{}, time.Time{}},
		{"1", "1", time.Unix(1, 0), time.Unix(1, 0)},
		{"2147483648", "", time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC), time.Time{}},
		{"7258032000", "", time.Date(2199, 12, 31, 0, 0, 0, 0, time.UTC), time.Time{}},
		{"253402300799", "", time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Time{}},
		{"253402303861", "", time.Date(10000, 1, 1, 0, 51, 1, 0, time.UTC), time.Time{}},
		{"1797552000000", "1797552000000", time.Unix(1797552000000, 0), time.Unix(1797552000000, 0)}, // the year 58932
		{"9223372036854775807", "9007199254740993", time.Unix(1<<53, 0), time.Unix(1<<53, 0)},
	} {
		t.Run(tc.exp+" "+tc.nbf, func(t *testing.T) {
			with(t, func(t *testing.T, b *bench) {
				attributes := `"enabled":true,"created":1700000000,"updated":1700000000`
				for name, value := range map[string]string{"exp": tc.exp, "nbf": tc.nbf} {
					if value != "" {
						attributes += `,"` + name + `":` + value
					}
				}
				body := `{"value":[{"id":"https://kv-example.vault.azure.net/secrets/a-secret/` +
					`0123456789abcdef0123456789abcdef","attributes":{` + attributes + `}}],"nextLink":null}`
				b.Client = b.client(t, &answering{
					RoundTripper: b.network, method: http.MethodGet, times: 1,
					response: &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body))},
				}, vaultName)
				versions, err := b.Versions(t.Context(), "a-secret")
				if err != nil || len(versions) != 1 {
					t.Fatalf("Versions: %d, %v; want one", len(versions), err)
				}
				v := versions[0]
				if !v.Expires.Equal(tc.expires) || !v.NotBefore.Equal(tc.before) {
					t.Errorf("expires %s, not before %s; want %s, %s", v.Expires, v.NotBefore, tc.expires, tc.before)
				}
			})
		})
	}
}
