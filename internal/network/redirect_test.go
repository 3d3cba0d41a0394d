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
