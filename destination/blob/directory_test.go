package blob

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestDirectoryKeepsBlobsPrivate(t *testing.T) {
	root := filepath.Join(t.TempDir(), "data", "blobs")
	d := NewDirectory(root)
	const name = "HOOK1/2026/3/1/8/x.json"
	file := filepath.Join(root, "dead", filepath.FromSlash(name))
	if err := d.Put(t.Context(), "dead", name, []byte("x")); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v: others can read it", path, info.Mode())
		}
		if !e.IsDir() && path != file {
			t.Errorf("%s was left behind", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDirectoryIsAStore(t *testing.T) {
	base := t.TempDir()
	root := filepath.Join(base, "blobs")
	testStore(t, NewDirectory(root), "dead", func(container, name string) ([]byte, error) {
		return os.ReadFile(filepath.Join(root, container, filepath.FromSlash(name)))
	})
	err := NewDirectory(root).Put(t.Context(), staging, "x", []byte("x"))
	if !errors.Is(err, ErrName) {
		t.Errorf("Put into %s = %v, want ErrName", staging, err)
	}
	if entries, err := os.ReadDir(base); err != nil || len(entries) != 1 {
		t.Errorf("files appeared outside: %v, %v", entries, err)
	}
}

func TestDirectoryLeavesItsRootThroughNoLink(t *testing.T) {
	base := t.TempDir()
	root, outside := filepath.Join(base, "blobs"), filepath.Join(base, "outside")
	for _, dir := range []string{root, outside} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(root, "dead")); err != nil {
		t.Fatal(err)
	}
	if err := NewDirectory(root).Put(t.Context(), "dead", "x.json", []byte("x")); err == nil {
		t.Error("a blob was written through a link")
	}
	if entries, _ := os.ReadDir(outside); len(entries) != 0 {
		t.Errorf("files outside: %v", entries)
	}
	if left, _ := os.ReadDir(filepath.Join(root, staging)); len(left) != 0 {
		t.Errorf("files left behind: %v", left)
	}
}

func TestDirectoryFailsWithTheFileSystem(t *testing.T) {
	root := filepath.Join(t.TempDir(), "blobs")
	if err := os.WriteFile(root, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := NewDirectory(root).Put(t.Context(), "a", "b", nil); err == nil || errors.Is(err, ErrName) {
		t.Errorf("Put below a file = %v, want an error of the file system", err)
	}
}
