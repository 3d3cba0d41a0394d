package network_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"keyvault-passwords/internal/network"
)

// No redirect is followed, and none makes net/http touch the request's body: an early answer comes while that is still
// being sent.
func TestRedirectsAreNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		asked := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked++
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		}))
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL, strings.NewReader("value"))
		if err != nil {
			t.Fatal(err)
		}
		request.GetBody = func() (io.ReadCloser, error) {
			t.Errorf("status %d: the body is rewound", status)
			return io.NopCloser(strings.NewReader("value")), nil
		}
		response, err := network.NewClient(server.Client().Transport, nil).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != status || asked != 1 {
			t.Errorf("status %d after %d requests; want %d after one", response.StatusCode, asked, status)
		}
		server.Close()
	}
}

// No protocol is switched: what net/http hands out as such an answer's body is the connection itself, and reading it
// would wait for the peer.
func TestNoProtocolIsSwitched(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		w.WriteHeader(http.StatusSwitchingProtocols)
	}))
	defer server.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL, strings.NewReader("value"))
	if err != nil {
		t.Fatal(err)
	}
	response, err := network.NewClient(server.Client().Transport, nil).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if _, isConnection := response.Body.(io.Writer); isConnection || response.StatusCode != 101 {
		t.Errorf("status %d, and the body is a connection: %t; want 101, and none", response.StatusCode, isConnection)
	}
}

// A noting transport is told of each request before it is sent.
type noting func(*http.Request)

func (n noting) RoundTrip(request *http.Request) (*http.Response, error) {
	n(request)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: request}, nil
}

// What is sent is not read from the caller's body any more: an SDK rewinds that one while an answer that came early is
// judged.
func TestBodyIsNotShared(t *testing.T) {
	body := strings.NewReader("value")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "https://kv.example", body)
	if err != nil {
		t.Fatal(err)
	}
	sent := func(r *http.Request) string {
		again, err := r.GetBody()
		if err != nil {
			t.Fatal(err)
		}
		first, _ := io.ReadAll(r.Body)
		second, _ := io.ReadAll(again)
		return string(first) + " " + string(second)
	}
	transport := noting(func(r *http.Request) {
		if left := body.Len(); left != 0 || r.ContentLength != 5 {
			t.Errorf("%d bytes of the caller's body are left to be read, of %d", left, r.ContentLength)
		}
		if got := sent(r); got != "value value" {
			t.Errorf("the body is sent as %q", got)
		}
	})
	response, err := network.NewClient(transport, nil).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
}
