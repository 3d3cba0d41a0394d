package runner

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"keyvault-passwords/internal/refusal"
)

// Later steps read and upload the reports, as whichever user they run, so all may read them.
const (
	reportFolderMode = 0o755
	reportMode       = 0o644
)

// maxName is how many bytes a name may have in the file systems of Linux.
const maxName = 255

// CheckReports checks the paths of reports before anything is contacted, and returns what is wrong with any of them:
// each must lead to a file of its own inside the workspace, by no link out of it, and nothing else may stand there. It
// writes nothing.
func (r *Runner) CheckReports(paths []string) (mistakes []error) {
	root, err := r.openWorkspace()
	if err != nil {
		return []error{err}
	}
	defer closeRoot(root)
	first := map[string]string{}
	for _, given := range paths {
		path, err := within(root.Name(), given)
		if err == nil {
			err = checkWay(root, given, path)
		}
		if err == nil {
			err = checkOthers(first, given, path)
		}
		if err != nil {
			mistakes = append(mistakes, err)
			continue
		}
		first[path] = given
	}
	return mistakes
}

// IsSameFile reports whether two paths lead to one file in the workspace.
func (r *Runner) IsSameFile(one, other string) bool {
	root, err := r.openWorkspace()
	if err != nil {
		return false
	}
	defer closeRoot(root)
	var files []fs.FileInfo
	for _, given := range []string{one, other} {
		path, err := within(root.Name(), given)
		if err != nil {
			return false
		}
		info, err := root.Stat(path)
		if err != nil {
			return false
		}
		files = append(files, info)
	}
	return os.SameFile(files[0], files[1])
}

// WriteReport writes one report into the workspace, the folders that its path needs included, and gives what it made to
// the workspace's owner: a container runs as root, and the user of a self-hosted runner could not delete its files.
//
// The text is written under a temporary name first, so that a part of a report never stands at its path. That name is
// the same each time: what a run leaves that is killed while it writes is removed by the next. If the report cannot be
// written, nothing stands there: an older one must not be taken for this one. What write returns is returned as it is.
func (r *Runner) WriteReport(given string, write func(io.Writer) error) error {
	root, err := r.openWorkspace()
	if err != nil {
		return err
	}
	defer closeRoot(root)
	path, err := within(root.Name(), given)
	if err != nil {
		return err
	}
	f := reportFolder{root: root, owner: ownerOf(root), act: fmt.Sprintf("writing the report %q", given)}
	if err := f.make(filepath.Dir(path)); err != nil {
		return unwritten(f.act, err)
	}
	err = f.write(path, write)
	if err != nil {
		err = errors.Join(err, f.clear(path))
	}
	return err
}

// openWorkspace opens the workspace, which no path and no link leaves from then on.
func (r *Runner) openWorkspace() (*os.Root, error) {
	root, err := os.OpenRoot(cmp.Or(r.getenv("GITHUB_WORKSPACE"), "."))
	if err != nil {
		return nil, refusal.Refusal{
			Act:    "opening the workspace",
			Cause:  causeOf(err),
			Remedy: "run this as a step of a workflow, or set GITHUB_WORKSPACE to a folder",
		}
	}
	return root, nil
}

// closeRoot closes a folder that was only looked at.
func closeRoot(root *os.Root) { _ = root.Close() }

// within returns the path of a report relative to the workspace.
func within(workspace, given string) (string, error) {
	path := given
	if filepath.IsAbs(path) {
		if relative, err := filepath.Rel(workspace, path); err == nil {
			path = relative
		}
	}
	switch parts := strings.Split(filepath.ToSlash(path), "/"); {
	case parts[len(parts)-1] == "" || parts[len(parts)-1] == ".":
		return "", fmt.Errorf("%q names a folder; expected the path of a file", given)
	case !filepath.IsLocal(path) || strings.Contains("/"+filepath.ToSlash(path)+"/", "/../"):
		return "", fmt.Errorf("%q is outside the workspace; expected a path in it without .., such as audit/vault.json",
			given)
	}
	path = filepath.Clean(path)
	for part := range strings.SplitSeq(path, string(filepath.Separator)) {
		if len(part) > maxName {
			return "", fmt.Errorf("%q has a name of %d bytes; expected at most %d", given, len(part), maxName)
		}
	}
	return path, nil
}

// checkWay checks what stands on the way to a report: folders, or links to folders inside the workspace, and then
// nothing or a file.
func checkWay(root *os.Root, given, path string) error {
	for i := range len(path) {
		if path[i] != filepath.Separator {
			continue
		}
		switch info, err := root.Stat(path[:i]); {
		case errors.Is(err, fs.ErrNotExist) && !isLink(root, path[:i]):
			return nil // it will be made
		case err != nil:
			return fmt.Errorf("%q: the folder %q cannot be used: %s; expected a folder in the workspace", given,
				path[:i], causeOf(err))
		case !info.IsDir():
			return fmt.Errorf("%q: %q is a file; expected a folder, or nothing yet", given, path[:i])
		}
	}
	switch info, err := root.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("%q cannot be used: %s; expected a file in the workspace", given, causeOf(err))
	case info.IsDir():
		return fmt.Errorf("%q is a folder; expected a file, or nothing yet", given)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%q is a link or a device; expected a file, or nothing yet", given)
	}
	return nil
}

// isLink reports whether a link stands there, whether or not it leads to anything.
func isLink(root *os.Root, path string) bool {
	info, err := root.Lstat(path)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// checkOthers checks a path against those before it.
func checkOthers(before map[string]string, given, path string) error {
	if other, ok := before[path]; ok {
		return fmt.Errorf("%q and %q are the same file; expected a path for each report", other, given)
	}
	for earlier, other := range before {
		if strings.HasPrefix(path, earlier+"/") || strings.HasPrefix(earlier, path+"/") {
			return fmt.Errorf("%q and %q: one is a folder of the other; expected a path for each report", other, given)
		}
	}
	return nil
}

// An owner is who gets what is made. It is nobody where the program may not give files away.
type owner struct {
	uid, gid int
	known    bool
}

// ownerOf returns the owner of the workspace, if the program may give files away.
func ownerOf(workspace *os.Root) (o owner) {
	info, err := workspace.Stat(".")
	if err != nil || os.Geteuid() != 0 {
		return o
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		o = owner{uid: int(stat.Uid), gid: int(stat.Gid), known: true}
	}
	return o
}

// A reportFolder is where a report is written.
type reportFolder struct {
	root  *os.Root
	owner owner
	act   string // what is being done, for errors
}

// make makes the folders of a path that are not there.
func (f reportFolder) make(path string) error {
	if _, err := f.root.Stat(path); err == nil || path == "." {
		return err
	}
	if err := f.make(filepath.Dir(path)); err != nil {
		return err
	}
	switch err := f.root.Mkdir(path, reportFolderMode); {
	case errors.Is(err, fs.ErrExist): // a link to nothing, a file, or made meanwhile: what comes next will tell
		return nil
	case err != nil:
		return err
	}
	return f.open(path, reportFolderMode)
}

// open gives what was just made to the workspace's owner, with that mode whatever the program's umask is. A file system
// that knows no owners, or keeps them from root, is no reason to fail: everybody can read the file all the same.
func (f reportFolder) open(path string, mode fs.FileMode) error {
	if err := f.root.Chmod(path, mode); err != nil {
		return err
	}
	if f.owner.known {
		_ = f.root.Lchown(path, f.owner.uid, f.owner.gid)
	}
	return nil
}

// write writes a file, at once: it is there whole, or as it was before.
func (f reportFolder) write(path string, write func(io.Writer) error) error {
	of := sha256.Sum256([]byte(filepath.Base(path)))
	temporary := filepath.Join(filepath.Dir(path), ".keyvault-passwords-"+hex.EncodeToString(of[:4]))
	_ = f.root.Remove(temporary) // most likely nothing is there, and what cannot be removed fails the next call
	file, err := f.root.OpenFile(temporary, os.O_CREATE|os.O_EXCL|os.O_WRONLY, reportMode)
	if err != nil {
		return unwritten(f.act, err)
	}
	sink := &sink{w: file}
	buffered := bufio.NewWriterSize(sink, 64<<10)
	if err = write(buffered); err == nil {
		err = buffered.Flush()
	}
	sink.keep(file.Close()) // some file systems say only now that the disk is full
	if err == nil && sink.err == nil {
		sink.keep(f.open(temporary, reportMode))
	}
	if err == nil && sink.err == nil {
		sink.keep(f.root.Rename(temporary, path))
	}
	if sink.err != nil {
		err = unwritten(f.act, sink.err)
	}
	if err != nil {
		_ = f.root.Remove(temporary) // the error that is returned matters more
	}
	return err
}

// clear removes an older report.
func (f reportFolder) clear(path string) error {
	info, err := f.root.Lstat(path)
	if err == nil && info.Mode().IsRegular() {
		err = f.root.Remove(path)
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return unwritten(f.act+", removing the older one", err)
}

// A sink is a file that keeps the first error of writing to it, which tells it from an error of what is written.
type sink struct {
	w   io.Writer
	err error
}

func (s *sink) Write(p []byte) (n int, err error) {
	n, err = s.w.Write(p)
	s.keep(err)
	return n, err
}

// keep keeps an error, unless there is an earlier one.
func (s *sink) keep(err error) { s.err = cmp.Or(s.err, err) }

// unwritten is the error of a report that could not be written.
func unwritten(act string, err error) error {
	r := refusal.Refusal{Act: act, Cause: causeOf(err)}
	switch {
	case makeRoom(err) != "":
		r.Remedy = makeRoom(err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		r.Remedy = "run the container as root, with the workspace mounted for writing"
	default:
		r.Remedy = "check what is at that path in the workspace, and run the job again"
	}
	return r
}

// makeRoom returns what to do about a file that could not be written because there is no room for it; "" if there is.
func makeRoom(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "free space on the runner's disk, and run the job again"
	case errors.Is(err, syscall.EFBIG):
		return "let the container write larger files (ulimit -f), and run the job again"
	}
	return ""
}

// causeOf returns an error of the file system without the names that the caller gives already.
func causeOf(err error) string {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		err = path.Err
	case errors.As(err, &link):
		err = link.Err
	}
	return err.Error()
}
