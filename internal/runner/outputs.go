package runner

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"keyvault-passwords/internal/refusal"
)

// An Output is one output of the step.
type Output struct{ Name, Value string }

// Outputs is the step's output file (GITHUB_OUTPUT). Write replaces what it wrote before. The file is mounted into the
// container and belongs to the runner's user, so it is written in place: a rename could not replace it.
// https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#setting-an-output-parameter
type Outputs struct {
	file *os.File
	from int64 // where this program's outputs begin: what was in the file before stays
}

// OpenOutputs opens the step's output file and makes sure that it can be written, before anything is stored.
func (r *Runner) OpenOutputs() (*Outputs, error) {
	path := r.getenv("GITHUB_OUTPUT")
	if path == "" {
		return nil, refusal.Refusal{
			Act:    "opening the output file",
			Cause:  "GITHUB_OUTPUT is not set",
			Remedy: "run this as a step of a workflow, or set it to the path of an empty file",
		}
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, refusal.Refusal{
			Act:    "opening the output file",
			Cause:  err.Error(),
			Remedy: "run the container as root, with the runner's command files mounted",
		}
	}
	from, err := file.Seek(0, io.SeekEnd)
	if err == nil {
		err = probe(file, from)
	}
	if err != nil {
		r := unwrittenFile("writing the output file", err)
		r.Cause += "; nothing was stored"
		return nil, errors.Join(r, file.Close())
	}
	return &Outputs{file: file, from: from}, nil
}

// probe writes one line break and removes it, so that a read-only mount or a full disk shows before a secret is set.
func probe(file *os.File, at int64) error {
	if _, err := file.WriteAt([]byte("\n"), at); err != nil {
		return err
	}
	return file.Truncate(at)
}

// Write replaces the outputs that it wrote before. Each value ends with a delimiter that is drawn for it, so that no
// value can contain it (CVE-2022-35954). If the text cannot be written whole, the file has no outputs afterwards: the
// runner refuses a file that is cut off in one, and older ones may name versions that are superseded by now.
func (o *Outputs) Write(outputs []Output) error {
	var text strings.Builder
	for _, output := range outputs {
		delimiter := "ghadelimiter_" + rand.Text()
		fmt.Fprintf(&text, "%s<<%s\n%s\n%s\n", output.Name, delimiter, output.Value, delimiter)
	}
	_, err := o.file.WriteAt([]byte(text.String()), o.from)
	if err == nil {
		err = o.file.Truncate(o.from + int64(text.Len()))
	}
	if err != nil {
		_ = o.file.Truncate(o.from) // the error that is returned matters more
		return unwrittenFile("writing the output file", err)
	}
	return nil
}

// Close closes the file. What was written stays.
func (o *Outputs) Close() error { return o.file.Close() }

// Summarize appends markdown to the job summary. If GITHUB_STEP_SUMMARY is not set, as on old runners, it does
// nothing.
func (r *Runner) Summarize(markdown string) error {
	path := r.getenv("GITHUB_STEP_SUMMARY")
	if path == "" {
		return nil
	}
	// Should it be a pipe, it is not waited for: neither for a reader nor, for longer than the log, for what one reads.
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return unwrittenFile("opening the job summary", err)
	}
	_ = file.SetWriteDeadline(time.Now().Add(logGrace)) // a file has none, and needs none
	_, err = file.WriteString(markdown)
	if err = errors.Join(err, file.Close()); err != nil {
		return unwrittenFile("writing the job summary", err)
	}
	return nil
}

// unwrittenFile is the error of one of the runner's command files that could not be written.
func unwrittenFile(act string, err error) refusal.Refusal {
	remedy := cmp.Or(makeRoom(err), "run the container as root, with the runner's command files mounted")
	return refusal.Refusal{Act: act, Cause: err.Error(), Remedy: remedy}
}
