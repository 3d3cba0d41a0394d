// Command keyvault-passwords is the action's program. It runs package action with the process's environment, standard
// output and signals, and exits with the status that this returns. README.md says what the action does, and action.yml
// what its inputs are.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	azlog "github.com/Azure/azure-sdk-for-go/sdk/azcore/log"

	"keyvault-passwords/internal/action"
)

func main() {
	// The job's environment could make the SDK and MSAL use another authority, and the SDK log requests. Unsetenv fails
	// only if the name is invalid, and these are valid. internal/environment_test.go knows what else they read.
	_ = os.Unsetenv("AZURE_REGIONAL_AUTHORITY_NAME")
	_ = os.Unsetenv("MSAL_FORCE_REGION")
	azlog.SetListener(nil)
	// If a peer sends something unasked, net/http logs it, and it may be a value that the peer echoes.
	log.SetOutput(io.Discard)

	// A run of a few secrets needs one processor, allocates little over a megabyte, and ends before the first garbage
	// collection, which is due at 4 MB. A run that gets there is a longer one: it takes every processor. It shares the
	// machine, so from then on its heap grows by half between collections, and not to its double.
	runtime.GOMAXPROCS(1)
	runtime.AddCleanup(new([64]byte), func(percent int) {
		runtime.SetDefaultGOMAXPROCS()
		debug.SetGCPercent(percent)
	}, 50)

	// Go ends a process that writes to a standard output which nobody reads any more. The action stores on, and
	// reports.
	signal.Ignore(syscall.SIGPIPE)
	// Whatever asks the process to end: a runner, a terminal that closes, a supervisor.
	ctx, stop := signal.NotifyContext(context.Background(),
		os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGABRT)
	status := (&action.Action{Getenv: os.Getenv, Stdout: os.Stdout}).Main(ctx)
	stop()
	os.Exit(status)
}
