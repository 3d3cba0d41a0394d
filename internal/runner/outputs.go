package runner

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// An Output is one output of the step.
type Output struct{ Name, Value string }

// Outputs is the step's output file (GITHUB_OUTPUT), rewritten as a whole each time. The file belongs to the runner's
// user and is mounted into the container, so it is rewritten in place: a rename could not replace it.
// https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#setting-an-output-parameter
type Outputs struct {
	file *os.File
	from int64 // what stood in the file before, which stays
}

// OpenOutputs opens the step's output file and proves that it can be written, before anything depends on it.
func (r *Runner) OpenOutputs() (*Outputs, error) {
	path := r.getenv("GITHUB_OUTPUT")
	if path == "" {
		return nil, errors.New("opening the output file: GITHUB_OUTPUT is not set; run this as a step of a workflow, or set it to the path of an empty file")
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the output file: %w; the container must run as root, with the runner's command files mounted", err)
	}
	from, err := file.Seek(0, io.SeekEnd)
	if err == nil {
		err = probe(file, from)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("writing the output file: %w; nothing was stored", err), file.Close())
	}
	return &Outputs{file: file, from: from}, nil
}

// probe writes one line break, and takes it away again: a read-only mount or a full disk shows now, not after the set.
func probe(file *os.File, at int64) error {
	if _, err := file.WriteAt([]byte("\n"), at); err != nil {
		return err
	}
	return file.Truncate(at)
}

// Write puts outputs in the place of those it wrote before. Each value is fenced by a delimiter that is drawn anew, so
// that no value can end it (CVE-2022-35954). What it writes is one write call: the file is never half a format.
func (o *Outputs) Write(outputs []Output) error {
	var text strings.Builder
	for _, output := range outputs {
		delimiter := "ghadelimiter_" + rand.Text()
		fmt.Fprintf(&text, "%s<<%s\n%s\n%s\n", output.Name, delimiter, output.Value, delimiter)
	}
	if _, err := o.file.WriteAt([]byte(text.String()), o.from); err != nil {
		return fmt.Errorf("writing the output file: %w", err)
	}
	if err := o.file.Truncate(o.from + int64(text.Len())); err != nil {
		return fmt.Errorf("writing the output file: %w", err)
	}
	return nil
}

// Close closes the file.
func (o *Outputs) Close() error { return o.file.Close() }

// Summarize appends markdown to the job summary. Without GITHUB_STEP_SUMMARY it does nothing: a runner of old, or none.
func (r *Runner) Summarize(markdown string) error {
	path := r.getenv("GITHUB_STEP_SUMMARY")
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("opening the job summary: %w", err)
	}
	_, err = file.WriteString(markdown)
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("writing the job summary: %w", err)
	}
	return nil
}
