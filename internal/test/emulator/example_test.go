package emulator_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"keyvault-passwords/internal/test/emulator"
)

// A request without token is told who issues one; a fault makes the same vault unreachable for once.
func ExampleEmulator_Handler() {
	e := emulator.New(emulator.Options{})
	ask := func() *http.Response {
		recorder := httptest.NewRecorder()
		e.Handler().ServeHTTP(recorder,
			httptest.NewRequest(http.MethodGet, "https://kv-example.vault.azure.net/secrets?api-version=7.4", nil))
		return recorder.Result()
	}
	fmt.Println(strings.ReplaceAll(ask().Header.Get("WWW-Authenticate"), ", ", ",\n"))

	e.Fault(emulator.Fault{Operation: "challenge", Kind: emulator.Status, Status: http.StatusBadGateway})
	fmt.Println(ask().StatusCode, ask().StatusCode)
	fmt.Println(e.Requests())
	// Output:
	// Bearer authorization="https://login.microsoftonline.com/3f2c8f5e-6a4d-4b1e-9c0a-7d5e2b8f1a60",
	// resource="https://vault.azure.net"
	// 502 401
	// map[challenge:3]
}
