package blob

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/intertie/intertie/atomicfile"
)

// Directory is a [Store] in a folder: one folder per container, and below it
// the path that the blob's name spells. What it creates is private to the user
// the server runs as, since dead letters hold what customers send.
type Directory struct {
	root string
}

// NewDirectory returns a store in the folder root, which is created with the
// first blob.
func NewDirectory(root string) *Directory { return &Directory{root: root} }

// staging is where blobs are written before they get their name. No container
// may be called so; what a crash leaves there is never read.
const staging = ".staging"

// Put implements [Store]. The error is [ErrName], the context's or one of the
// file system.
//
// Containers and subscription names come from users, so the folder is opened
// as an [os.Root]: even a symbolic link inside it leads nowhere outside.
func (d *Directory) Put(ctx context.Context, container, name string, body []byte) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("put blob %q: %w", name, err)
	}
	if !possible(container, name) {
		return fmt.Errorf("put blob %q in container %q: %w", name, container, ErrName)
	}
	if err := d.put(path.Join(container, name), body); err != nil {
		return fmt.Errorf("put blob %q in container %q: %w", name, container, err)
	}
	return nil
}

func (d *Directory) put(target string, body []byte) error {
	if err := atomicfile.MkdirAll(d.root, 0o700); err != nil {
		return err
	}
	if err := atomicfile.SyncDir(filepath.Dir(filepath.Clean(d.root))); err != nil {
		return err
	}
	root, err := os.OpenRoot(d.root)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.MkdirAll(staging, 0o700); err != nil {
		return err
	}
	temp := path.Join(staging, uuid.NewString())
	if err := write(root, temp, body); err != nil {
		_ = root.Remove(temp) // best effort; the first error is the one to tell
		return err
	}
	folder := path.Dir(target)
	if err := root.MkdirAll(folder, 0o700); err != nil {
		_ = root.Remove(temp)
		return err
	}
	if err := root.Rename(temp, target); err != nil {
		_ = root.Remove(temp)
		return err
	}
	// A name lives in its folder, and the folder's in the one above. All of them
	// are synced, not only those created here: a concurrent Put may have made
	// one and not come to its sync yet.
	for ; ; folder = path.Dir(folder) {
		if err := syncFolder(root, folder); err != nil {
			return err
		}
		if folder == "." {
			return nil
		}
	}
}

// write creates a file with the content and makes the content durable.
func write(root *os.Root, name string, body []byte) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncFolder(root *os.Root, name string) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(atomicfile.SyncOpenDir(f), f.Close())
}
