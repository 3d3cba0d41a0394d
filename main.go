// The action's program: it hands the process over to package action and exits with what that returns. README.md says
// what the action does, and action.yml what it takes.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	azlog "github.com/Azure/azure-sdk-for-go/sdk/azcore/log"

	"keyvault-passwords/internal/action"
)

func main() {
	// What the job's environment could switch on in the SDK: another authority, and logging of requests.
	// A failure of Unsetenv is one of an invalid name, and this one is valid.
	_ = os.Unsetenv("AZURE_REGIONAL_AUTHORITY_NAME")
	azlog.SetListener(nil)
	// net/http tells the standard logger what a peer sent unasked, which may be a value that it echoes.
	log.SetOutput(io.Discard)

	// A run lives for a second on a runner that it shares: half the garbage is worth the little time that takes.
	debug.SetGCPercent(50)

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := (&action.Action{Getenv: os.Getenv, Stdout: os.Stdout}).Main(ctx)
	stop()
	os.Exit(status)
}
