package atomicfile

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	for _, tt := range []struct {
		content string
		perm    fs.FileMode
	}{
		{"first", 0o600},
		{"a longer second", 0o600},
		{"", 0o644},
		{"for all", 0o666}, // more than any umask leaves
		{"secret again", 0o400},
	} {
		if err := Write(path, []byte(tt.content), tt.perm); err != nil {
			t.Fatal(err)
		}
		holds(t, path, tt.content)
		if st, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && st.Mode() != tt.perm {
			t.Errorf("%q: mode %v, %v, want %v", tt.content, st.Mode(), err, tt.perm)
		}
		alone(t, path)
		if runtime.GOOS == "windows" {
			if err := os.Chmod(path, 0o600); err != nil { // what is read-only cannot be replaced there
				t.Fatal(err)
			}
		}
	}
}

// TestOrder looks at the folder whenever something is synced: the content is
// durable before the name is, and the name before Write returns.
func TestOrder(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	if err := Write(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	var got []string
	err := write(path, []byte("new"), 0o600, func(f *os.File) error {
		rel, err := filepath.Rel(dir, f.Name())
		text, _ := os.ReadFile(f.Name()) // a folder has none
		now, _ := os.ReadFile(path)
		got = append(got, rel+" holds "+string(text)+", key holds "+string(now))
		return errors.Join(err, f.Sync())
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{".key.tmp holds new, key holds old", ". holds , key holds new"}
	if runtime.GOOS == "windows" {
		want = want[:1]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhatACrashLeftIsOverwritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	left := filepath.Join(filepath.Dir(path), ".key.tmp")
	if err := os.WriteFile(left, []byte("half of a longer content"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("something reads what was not finished: %v", err)
	}
	if err := Write(path, []byte("whole"), 0o600); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "whole")
	if st, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && st.Mode() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	alone(t, path)
}

func TestErrorsLeaveTheOldContentAndNothingBeside(t *testing.T) {
	broken := errors.New("broken")
	for name, tt := range map[string]struct {
		sync syncFunc
		want string
	}{
		"content": {func(f *os.File) error { return &fs.PathError{Op: "sync", Path: f.Name(), Err: broken} }, "old"},
		"folder": {func(f *os.File) error {
			if st, err := f.Stat(); err != nil || !st.IsDir() {
				return err
			}
			return broken
		}, "new"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "folder" && runtime.GOOS == "windows" {
				t.Skip("a folder is not synced there")
			}
			path := filepath.Join(t.TempDir(), "key")
			if err := Write(path, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			err := write(path, []byte("new"), 0o600, tt.sync)
			if !errors.Is(err, broken) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v", err)
			}
			holds(t, path, tt.want)
			alone(t, path)
		})
	}
	t.Run("name", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "key")
		if err := os.MkdirAll(filepath.Join(dir, "not empty"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := Write(dir, []byte("new"), 0o600); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v", err)
		}
		alone(t, dir)
	})
	t.Run("no folder", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "none")
		if err := Write(filepath.Join(dir, "key"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v", err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("it was made: %v", err)
		}
	})
}

// TestAFolderThatCannotBeSynced is about file systems that have no such thing,
// whose every other error counts.
func TestAFolderThatCannotBeSynced(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a folder is not synced there")
	}
	for errno, want := range map[error]error{
		syscall.EINVAL: nil, syscall.ENOTSUP: nil, syscall.EIO: syscall.EIO, syscall.ENOSPC: syscall.ENOSPC,
	} {
		err := syncDir(t.TempDir(), func(f *os.File) error { return &fs.PathError{Op: "sync", Path: f.Name(), Err: errno} })
		if !errors.Is(err, want) {
			t.Errorf("%v: got %v", errno, err)
		}
	}
	if err := SyncDir(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// TestAnOpenFolder is for those who have it open, and go on with it.
func TestAnOpenFolder(t *testing.T) {
	f, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := SyncOpenDir(f); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("it is not open any more: %v", err)
	}
	if err := SyncOpenDir(f); !errors.Is(err, os.ErrClosed) && runtime.GOOS != "windows" {
		t.Errorf("got %v", err)
	}
}

func TestMkdirAll(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "a", "b", "c")
	var synced []string
	sync := func(f *os.File) error {
		rel, err := filepath.Rel(root, f.Name())
		synced = append(synced, filepath.ToSlash(rel))
		return errors.Join(err, f.Sync())
	}
	for _, want := range [][]string{{".", "a", "a/b"}, nil} {
		synced = nil
		if err := mkdirAll(dir, 0o700, sync); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, synced); diff != "" && runtime.GOOS != "windows" {
			t.Error(diff)
		}
	}
	if st, err := os.Stat(dir); err != nil || runtime.GOOS != "windows" && st.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	broken := errors.New("broken")
	if err := mkdirAll(filepath.Join(dir, "d"), 0o700, func(*os.File) error { return broken }); !errors.Is(err, broken) && runtime.GOOS != "windows" {
		t.Errorf("got %v", err)
	}
	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		if err := MkdirAll(dir, 0o700); err == nil {
			t.Errorf("%s: made", dir)
		}
	}
	t.Chdir(root)
	if err := MkdirAll("relative/one", 0o700); err != nil {
		t.Error(err)
	}
	if err := Write("relative/one/file", []byte("x"), 0o600); err != nil {
		t.Error(err)
	}
	if err := Write("bare", []byte("x"), 0o600); err != nil {
		t.Error(err)
	}
}

func holds(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, []byte(want)) {
		t.Errorf("%s holds %q, %v, want %q", path, got, err, want)
	}
}

// alone checks that nothing is beside path.
func alone(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}
