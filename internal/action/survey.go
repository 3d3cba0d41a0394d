package action

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"keyvault-passwords/internal/audit"
	"keyvault-passwords/internal/keyvault"
	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/report"
)

// undeclaredMax is how many secrets a vault may have for the version lists of those to be read that nobody declared:
// each is a request at least, and Key Vault takes 4,000 in 10 seconds. What is not declared is judged by its current
// version then.
const undeclaredMax = 1000

// A survey is what one vault lists, asked for once. A plan that is made of it asks the vault nothing more, and is the
// one that mode rotate would make of the vault itself.
type survey struct {
	vault   *keyvault.Client
	listed  []keyvault.Listed
	tags    map[string]map[string]string // of the current version of each, by name in lower case
	deleted map[string]keyvault.Deleted

	listError, deletedError error

	mu       sync.Mutex
	versions map[string][]lifecycle.Version // of each secret whose list was read, by name in lower case
	failures map[string]error               // of each whose list was not read, or not whole
	closed   error                          // what every list meets from now on
	refused  int                            // lists in a row that the vault refused as it would every other
}

// closedAfter is after how many refusals in a row that are most likely every secret's no other list is asked for.
const closedAfter = 3

// survey lists the vaults whole: their secrets, those that are soft-deleted, and versions. It contacts each vault with
// list requests alone.
func (r *run) survey(ctx context.Context, vaults []*keyvault.Client) []*survey {
	surveys := make([]*survey, len(vaults))
	progress := r.newProgress("secrets listed")
	inParallel(r.concurrency, len(vaults), func(i int) {
		surveys[i] = listVault(ctx, vaults[i], progress)
	})
	var lists []func()
	for _, s := range surveys {
		for _, name := range r.asked(s) {
			lists = append(lists, func() { s.list(ctx, name) })
		}
	}
	progress = r.newProgress("version lists read")
	progress.Total = len(lists)
	inParallel(r.concurrency, len(lists), func(i int) {
		lists[i]()
		progress.add(1)
	})
	return surveys
}

// inParallel calls f with each number below total, n at once.
func inParallel(n, total int, f func(int)) {
	var wg sync.WaitGroup
	numbers := make(chan int)
	for range min(n, total) {
		wg.Go(func() {
			for i := range numbers {
				f(i)
			}
		})
	}
	for i := range total {
		numbers <- i
	}
	close(numbers)
	wg.Wait()
}

// listVault lists the secrets of a vault and its soft-deleted ones. It asks for nothing more once a list failed.
func listVault(ctx context.Context, vault *keyvault.Client, progress *progress) *survey {
	s := &survey{
		vault: vault, tags: map[string]map[string]string{}, versions: map[string][]lifecycle.Version{},
		failures: map[string]error{},
	}
	told := 0
	s.listed, s.listError = vault.Secrets(ctx, func(reached int) {
		progress.add(reached - told)
		told = reached
	})
	s.listed = slices.DeleteFunc(s.listed, func(l keyvault.Listed) bool {
		key := strings.ToLower(l.Name)
		_, twice := s.tags[key] // as a list that grows while it is read may show it, on two pages
		s.tags[key] = l.Version.Tags
		return twice
	})
	if s.listError != nil {
		s.deletedError, s.closed = s.listError, s.listError
		return s
	}
	s.deleted, s.deletedError = vault.Deleted(ctx)
	return s
}

// asked returns the secrets of a vault whose version lists are read: declared ones, and the others where they are not
// too many.
func (r *run) asked(s *survey) (names []string) {
	if s.listError != nil {
		return nil
	}
	declared := map[string]bool{}
	for _, secret := range r.secrets {
		for _, v := range secret.Vaults {
			if v.Name == s.vault.Name() {
				declared[strings.ToLower(secret.Name)] = true
			}
		}
	}
	others := !r.only.given && len(s.listed) <= undeclaredMax
	for _, l := range s.listed {
		if others || declared[strings.ToLower(l.Name)] {
			names = append(names, l.Name)
		}
	}
	return names
}

// list reads the version list of one secret.
func (s *survey) list(ctx context.Context, name string) {
	s.mu.Lock()
	err := s.closed
	s.mu.Unlock()
	var versions []lifecycle.Version
	if err == nil {
		versions, err = s.vault.Versions(ctx, name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := strings.ToLower(name)
	s.versions[key] = versions
	e, refused := errors.AsType[*keyvault.Error](err)
	switch {
	case err == nil:
		s.refused = 0
		return
	case refused && (e.WholeVault() || e.Kind == refusal.Cancelled):
		s.closed = err
	case refused && e.MostLikelyWholeVault():
		if s.refused++; s.refused >= closedAfter {
			s.closed = err
		}
	}
	s.failures[key] = err
}

// Now implements [provision.Lists].
func (s *survey) Now() time.Time { return s.vault.Now() }

// Versions implements [provision.Lists].
func (s *survey) Versions(_ context.Context, name string) ([]lifecycle.Version, error) {
	if s.listError != nil {
		return nil, s.listError
	}
	key := strings.ToLower(name)
	if err := s.failures[key]; err != nil {
		return nil, err
	}
	return s.versions[key], nil
}

// Current implements [provision.Lists].
func (s *survey) Current(_ context.Context, name string) (map[string]string, bool, error) {
	tags, listed := s.tags[strings.ToLower(name)]
	return tags, listed, s.listError
}

// Deleted implements [provision.Lists].
func (s *survey) Deleted(context.Context) (map[string]keyvault.Deleted, error) {
	return s.deleted, s.deletedError
}

// listing returns what an audit judges. A secret with more versions than are read is that secret's matter; whatever
// else was not read makes the vault incomplete.
func (s *survey) listing() audit.Listing {
	l := audit.Listing{
		Vault: s.vault.Name(), Now: s.vault.Now(), Listed: s.listError == nil,
		Secrets: make([]audit.Holding, 0, len(s.listed)),
	}
	first := s.deletedError
	for _, listed := range s.listed {
		key := strings.ToLower(listed.Name)
		h := audit.Holding{Name: listed.Name, Listed: listed.Version, Versions: s.versions[key]}
		if err := s.failures[key]; err != nil {
			if e, ok := errors.AsType[*keyvault.Error](err); ok && e.Kind == refusal.TooMany {
				h.Excess = len(h.Versions)
			} else if first == nil {
				first = err
			}
			h.Versions = nil
		}
		l.Secrets = append(l.Secrets, h)
	}
	for _, d := range s.deleted {
		l.Deleted = append(l.Deleted, audit.Deleted{
			Name: d.Name, Deleted: d.Deleted, Purge: d.Purge, Managed: d.Managed,
		})
	}
	slices.SortFunc(l.Deleted, func(a, b audit.Deleted) int { return strings.Compare(a.Name, b.Name) })
	if first != nil {
		l.Why = refusal.Of(first).Error()
	}
	return l
}

// A progress tells in the log how far something long is.
type progress struct {
	report.Progress
	mu    sync.Mutex
	print func(string)
	what  string
	start time.Time
	next  time.Time
	done  int
}

func (r *run) newProgress(what string) *progress {
	now := time.Now()
	return &progress{print: r.runner.Print, what: what, start: now, next: now.Add(progressEvery)}
}

// add counts what was done, and prints a line if the last one is long ago.
func (p *progress) add(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += n
	now := time.Now()
	switch {
	case !now.After(p.next) || p.Total > 0 && p.done >= p.Total:
		return
	case p.Total > 0:
		p.print(p.what + ": " + p.Line(p.done, now.Sub(p.start)))
	default:
		p.print(fmt.Sprintf("%s: %d so far", p.what, p.done))
	}
	p.next = now.Add(progressEvery)
}
