package provision

import (
	"context"

	"keyvault-passwords/internal/sensitive"
)

// A Target is where the password of one secret opens something: a database's logins, a server's administrator. It is
// set there in the run that stores it. Calls come from one goroutine at a time, in the order Lock, Prepare, Held,
// Finish or Undo, Unlock; Look comes before Lock, and between Lock and Prepare, and after Unlock, any number of times.
// Unlock comes after every Lock, also one that failed. Each call ends soon after its context; Finish and Undo may take
// up to 5.5 s more for what must not stay half done.
//
// The three orders in which vault and target change are one sequence, and differ only in what Prepare and Finish do:
//
//	            two logins               one login             an Azure server
//	Lock        connect, lock, check     connect, lock, check  look at the server
//	Prepare     set the idle login,      begin, set, mark      nothing
//	            mark, commit, log in
//	(the vault stores the new version)
//	Finish      nothing                  commit, log in        set, wait until it is done
//	Undo        nothing                  roll back             nothing
type Target interface {
	// Look connects and checks that the password of each of the secret's logins can be set, and returns the operation
	// that the target says it holds for this one; "" if it says none. It changes nothing.
	Look(ctx context.Context, login string) (operation string, err error)
	// Lock connects, waits until no other run sets a login of this secret, keeps them out until Unlock, and checks as
	// Look does.
	Lock(ctx context.Context, login string) error
	// Prepare does what comes before the vault has the password.
	Prepare(ctx context.Context, login, operation string, password sensitive.Value) error
	// Held returns an error if the lock, or what Prepare did, is lost. It is asked just before the vault's set.
	Held(ctx context.Context) error
	// Finish does what comes after the vault has the password, and proves that the target takes it. After an error it
	// may be called again, and does or repeats what is left to do with the same password.
	Finish(ctx context.Context) error
	// Undo takes back what Prepare did, as far as that can be, since the vault did not take the password.
	Undo(ctx context.Context) error
	// Unlock lets others in, and disconnects.
	Unlock()
}
