package folder_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/engine/folder"
)

const openIn = "INTERTIE_TEST_OPEN"

// TestMain lets the test binary be the other process.
func TestMain(m *testing.M) {
	if dir := os.Getenv(openIn); dir != "" {
		_, err := folder.Open(dir)
		fmt.Println(err)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func open(t *testing.T, dir string) *folder.Folder {
	t.Helper()
	f, err := folder.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func closed(t *testing.T, f *folder.Folder) {
	t.Helper()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// committed makes the folder of a first start that was completed.
func committed(t *testing.T, dir string) {
	t.Helper()
	f := open(t, dir)
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	closed(t, f)
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if e.Name() != "lock" { // on Windows
			out = append(out, e.Name())
		}
	}
	return out
}

// oneLine checks an error that an operator reads.
func oneLine(t *testing.T, err error, want ...string) {
	t.Helper()
	if err == nil || strings.Contains(err.Error(), "\n") {
		t.Fatalf("not one line: %v", err)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

// otherProcess returns what another process is told that opens the folder.
func otherProcess(t *testing.T, dir string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), openIn+"="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestAFolderIsForOneProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	f := open(t, dir)
	if err := f.Begin(); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "lock", "of another program")
	refused := func(when string) {
		t.Helper()
		_, err := folder.Open(dir)
		oneLine(t, err, dir, "another process")
		if !errors.Is(err, folder.ErrInUse) {
			t.Errorf("%s: %v", when, err)
		}
		if got := otherProcess(t, dir); !strings.Contains(got, folder.ErrInUse.Error()) {
			t.Errorf("%s: another process is told %q", when, got)
		}
	}
	refused("as it was made")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		_ = os.Remove(filepath.Join(dir, e.Name())) // what can be removed
	}
	refused("with everything removed")
	for _, e := range entries {
		_ = os.WriteFile(filepath.Join(dir, e.Name()), nil, 0o600)
	}
	refused("with everything replaced")
	if runtime.GOOS != "windows" {
		moved := dir + "-moved"
		if err := os.Rename(dir, moved); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(moved, dir); err != nil {
			t.Fatal(err)
		}
		refused("under another name")
	}
	closed(t, f)
	if got := otherProcess(t, dir); got != "<nil>" {
		t.Errorf("after Close another process is told %q", got)
	}
	closed(t, open(t, dir)) // it has ended, and its lock with it
}

func TestFirstStart(t *testing.T) {
	above := t.TempDir()
	dir := filepath.Join(above, "not", "there", "yet")
	type state struct {
		New, Unfinished bool
		Names           []string
	}
	step := func(what string, do func(*folder.Folder) error, want state) {
		t.Helper()
		f := open(t, dir)
		if err := do(f); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if diff := cmp.Diff(want, state{f.New(), f.Unfinished(), names(t, dir)}); diff != "" {
			t.Errorf("%s, at once: %s", what, diff)
		}
		closed(t, f)
		f = open(t, dir)
		if diff := cmp.Diff(want, state{f.New(), f.Unfinished(), names(t, dir)}); diff != "" {
			t.Errorf("%s, opened again: %s", what, diff)
		}
		closed(t, f)
	}
	step("open", func(*folder.Folder) error { return nil }, state{New: true})
	step("begin", (*folder.Folder).Begin, state{New: true, Unfinished: true, Names: []string{"first-start"}})
	step("begin again", (*folder.Folder).Begin, state{New: true, Unfinished: true, Names: []string{"first-start"}})
	step("commit", (*folder.Folder).Commit, state{Names: []string{"format"}})
	step("commit again", (*folder.Folder).Commit, state{Names: []string{"format"}})
	step("begin in it", (*folder.Folder).Begin, state{Names: []string{"format"}})

	if text, err := os.ReadFile(filepath.Join(dir, "format")); err != nil || string(text) != "2\n" {
		t.Errorf("format %q, %v", text, err)
	}
	for _, path := range []string{dir, filepath.Dir(dir)} {
		if st, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && st.Mode().Perm() != 0o700 {
			t.Errorf("%s: mode %v, %v", path, st.Mode(), err)
		}
	}
}

// TestCommitCutOff is a crash between the format and the end of Commit.
func TestCommitCutOff(t *testing.T) {
	dir := t.TempDir()
	committed(t, dir)
	put(t, dir, "first-start", "")
	f := open(t, dir)
	if f.New() || f.Unfinished() {
		t.Errorf("new %v, unfinished %v", f.New(), f.Unfinished())
	}
	closed(t, f)
	// Were it left, the loss of all else would look like a first start.
	if diff := cmp.Diff([]string{"format"}, names(t, dir)); diff != "" {
		t.Error(diff)
	}
}

// TestWriteCutOff is a crash in the middle of writing a file.
func TestWriteCutOff(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, ".first-start.tmp", "A fir")
	put(t, dir, ".format.tmp", "")
	f := open(t, dir)
	if !f.New() || f.Unfinished() {
		t.Errorf("new %v, unfinished %v", f.New(), f.Unfinished())
	}
	if err := errors.Join(f.Begin(), f.Commit()); err != nil {
		t.Fatal(err)
	}
	closed(t, f)
	if diff := cmp.Diff([]string{"format"}, names(t, dir)); diff != "" {
		t.Error(diff)
	}
}

func TestRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		set  func(t *testing.T, dir string)
		is   error
		says []string
	}{
		"older format": {func(t *testing.T, dir string) { put(t, dir, "format", "1\n") }, folder.ErrOlderFormat, []string{"format 1", "older version", "no migration", "--data"}},
		"older format, its number lost": {func(t *testing.T, dir string) {
			if err := os.Mkdir(filepath.Join(dir, "jetstream"), 0o700); err != nil {
				t.Fatal(err)
			}
		}, folder.ErrOlderFormat, []string{"jetstream", "older version", "no migration", "--data"}},
		"newer format": {func(t *testing.T, dir string) { put(t, dir, "format", "3\n") }, folder.ErrNewerFormat, []string{"format 3", "up to 2", "newer version"}},
		"no number":    {func(t *testing.T, dir string) { put(t, dir, "format", "?") }, nil, []string{"format"}},
		"torn":         {func(t *testing.T, dir string) { put(t, dir, "format", "") }, nil, []string{"format"}},
		"negative":     {func(t *testing.T, dir string) { put(t, dir, "format", "-2") }, nil, []string{"format"}},
		"not a file":   {func(t *testing.T, dir string) { _ = os.Mkdir(filepath.Join(dir, "format"), 0o700) }, nil, []string{"cannot be read"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			tt.set(t, dir)
			before := names(t, dir)
			_, err := folder.Open(dir)
			oneLine(t, err, append(tt.says, dir)...)
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("not %v: %v", tt.is, err)
			}
			if diff := cmp.Diff(before, names(t, dir)); diff != "" {
				t.Errorf("it was touched: %s", diff)
			}
			if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
				t.Errorf("it was touched: %v, %v", entries, err)
			}
		})
	}
}

func TestAFolderOfThatNameIsNoOldOne(t *testing.T) {
	dir := t.TempDir()
	committed(t, dir)
	if err := os.Mkdir(filepath.Join(dir, "jetstream"), 0o700); err != nil { // of a NATS server beside
		t.Fatal(err)
	}
	closed(t, open(t, dir))
}

func TestUnusable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "data")} {
		_, err := folder.Open(dir)
		oneLine(t, err, dir, "cannot be created")
	}
	if runtime.GOOS != "windows" && os.Getuid() != 0 { // root may
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		_, err := folder.Open(dir)
		oneLine(t, err, dir, "not writable")
	}
	// Begin and Commit where nothing can be written, for root too.
	gone := t.TempDir()
	f := open(t, gone)
	if runtime.GOOS == "windows" {
		closed(t, f)
		return // what is open is not removed there
	}
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	oneLine(t, f.Begin(), gone)
	oneLine(t, f.Commit(), gone)
	if !f.New() || f.Unfinished() {
		t.Error("what was not written counts")
	}
	closed(t, f)
}

func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	defer closed(t, f)
	all := []string{"master.key", "ca.pem", "admin.env", "run.json"}
	if got := f.Leftovers(all...); got != nil {
		t.Errorf("in an empty folder: %v", got)
	}
	put(t, dir, "ca.pem", "")
	put(t, dir, "stranger", "")
	put(t, dir, ".master.key.tmp", "half")
	want := []string{"ca.pem"}
	if runtime.GOOS != "windows" {
		if err := os.Symlink("nowhere", filepath.Join(dir, "admin.env")); err != nil {
			t.Fatal(err)
		}
		want = append(want, "admin.env")
	}
	if diff := cmp.Diff(want, f.Leftovers(all...)); diff != "" {
		t.Error(diff)
	}
	if got := f.Leftovers(strings.Repeat("x", 5000)); len(got) != 1 {
		t.Errorf("one that cannot be looked at: %v", got)
	}
}

// TestOpenLeavesNothing: whoever is refused after Open can open it as new again.
func TestOpenLeavesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	closed(t, open(t, dir))
	if got := names(t, dir); got != nil {
		t.Errorf("Open made %v", got)
	}
}
