package arm_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/test/emulator"
)

// An ending is a network that gives answers of its own while a change is followed, and alters the one that accepts it.
type ending struct {
	http.RoundTripper
	answers []answer // to the first looks at the change; then the service's own
	accept  func(*http.Response)
	changes int // how often the password was sent
}

// An answer is what a look at a change gets.
type answer struct {
	status int
	body   string
	place  string // the header Location
}

func (e *ending) RoundTrip(request *http.Request) (*http.Response, error) {
	if strings.Contains(request.URL.Path, "/locations/") && len(e.answers) > 0 {
		a := e.answers[0]
		e.answers = e.answers[1:]
		response := &http.Response{
			StatusCode: a.status, Request: request, Body: io.NopCloser(strings.NewReader(a.body)),
			Header: http.Header{"X-Ms-Request-Id": {"of-the-test"}},
		}
		if a.place != "" {
			response.Header.Set("Location", a.place)
		}
		return response, nil
	}
	response, err := e.RoundTripper.RoundTrip(request)
	if err == nil && request.Method == http.MethodPatch {
		e.changes++
		if e.accept != nil {
			e.accept(response)
		}
	}
	return response, err
}

// relative makes the place where a change is followed one of the same host.
func relative(name string) func(*http.Response) {
	return func(r *http.Response) {
		r.Header.Set(name, strings.TrimPrefix(r.Header.Get(name), "https://management.azure.com"))
	}
}

// However Resource Manager says that a change goes on, and ends, the password is sent once, and an end is an end.
func TestHowAChangeEnds(t *testing.T) {
	const place = "/subscriptions/x/providers/Microsoft.Sql/locations/westeurope/serverOperationResults/y"
	goesOn := []answer{{status: 200, body: `{"name":"x","status":"InProgress"}`},
		{status: 200, body: `{"status":"Waiting"}`}}
	for name, x := range map[string]struct {
		header  string
		answers []answer
		accept  func(*http.Response)
		want    string // in the error; "": there is none
		changes int    // 0: one
	}{
		"a Location with a status":             {header: emulator.LocationHeader, answers: goesOn},
		"an operation of unknown status":       {header: emulator.AsyncHeader, answers: goesOn},
		"a Location without content":           {header: emulator.LocationHeader, answers: []answer{{status: 204}}},
		"a Location with 202 and nothing else": {header: emulator.LocationHeader, answers: []answer{{status: 202}}},
		"a Location relative to the host":      {header: emulator.LocationHeader, accept: relative("Location")},
		"an operation relative to the host": {header: emulator.AsyncHeader,
			accept: relative("Azure-Asyncoperation")},
		"a Location that moves, relative to the host": {
			header:  emulator.LocationHeader,
			answers: []answer{{status: 202, place: place}, {status: 200, body: `{"status":"Succeeded"}`}},
		},
		"a Location that moves to another host": {
			header:  emulator.LocationHeader,
			answers: []answer{{status: 202, place: "//evil.example" + place}},
			want:    "the answer pointed to another host, which was not contacted",
		},
		"a redirect": {
			header: emulator.AsyncHeader, answers: []answer{{status: 302, place: "https://evil.example/"}},
			want: "which is not followed: it would carry the access token to another host: 302",
		},
		"a Location that refuses a token once": {
			header: emulator.LocationHeader,
			answers: []answer{
				{status: 401, body: `{"error":{"code":"ExpiredAuthenticationToken","message":"it is expired"}}`},
			},
		},
		"a change that is not known any more": {
			header: emulator.AsyncHeader,
			answers: []answer{{status: 404,
				body: `{"error":{"code":"OperationIdNotFound","message":"there is none"}}`}},
			want: "it is not known whether it is set: Resource Manager does not know the change any more: " +
				"404 OperationIdNotFound",
		},
		"a change that is gone": {
			header:  emulator.LocationHeader,
			answers: []answer{{status: 410, body: `{"error":{"code":"Gone","message":"it is over"}}`}},
			want:    "it is not known whether it is set: Resource Manager does not know the change any more: 410 Gone",
		},
		"cancelled by somebody": {
			header:  emulator.LocationHeader,
			answers: []answer{{status: 409, body: `{"error":{"code":"OperationCancelled","message":"cancelled"}}`}},
			changes: 2,
		},
		"done at once, with 201": {accept: func(r *http.Response) { r.StatusCode = http.StatusCreated }},
	} {
		t.Run(name, func(t *testing.T) {
			o := emulator.ServerOptions{Headers: x.header, Takes: 2 * time.Second}
			if x.header == "" {
				o.Takes = -1
			}
			if x.changes > 1 {
				o.Takes = time.Second // the first one is done when the second one comes
			}
			with(t, o, func(t *testing.T, b *bench) {
				seen := &ending{RoundTripper: b.network, answers: x.answers, accept: x.accept}
				b.Target = b.target(t, b.id, azure.Public(), seen)
				err := b.set(t.Context())
				if (err == nil) != (x.want == "") || err != nil && !strings.Contains(err.Error(), x.want) {
					t.Errorf("%v; want %q", err, x.want)
				}
				if seen.changes != max(x.changes, 1) {
					t.Errorf("the password was sent %d times", seen.changes)
				}
				for host := range b.emulator.Hosts() {
					if strings.Contains(host, "evil") {
						t.Errorf("%s was contacted", host)
					}
				}
				b.noLeaks(t, err)
			})
		})
	}
}
