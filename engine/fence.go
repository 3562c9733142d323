package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nats-io/nats-server/v2/server"
)

// A server that hangs in the middle of a write cannot be shut down, and nothing
// says that it will not go on some day. Before another one may open its files
// they are moved to where it does not look: whatever it still opens, it does not
// find. The next process, in which there is no such server, moves them back.

// movedFolder holds the server's files after the n-th move.
func movedFolder(dir string, n int) string {
	return filepath.Join(dir, fmt.Sprintf("moved-%d", n))
}

// fence moves the server's files from one folder to another.
func fence(from, to string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return fmt.Errorf("move the files away from a server that hangs: %w", err)
	}
	if err := os.Rename(filepath.Join(from, server.JetStreamStoreDir), filepath.Join(to, server.JetStreamStoreDir)); err != nil {
		return fmt.Errorf("move the files away from a server that hangs: %w", err)
	}
	return nil
}

// unfence moves back what an earlier process has moved.
func unfence(dir string) error {
	found, err := filepath.Glob(filepath.Join(dir, "moved-*", server.JetStreamStoreDir))
	if err != nil || len(found) == 0 {
		return err
	}
	last := found[len(found)-1] // of several only one can be: a move empties the folder before
	home := filepath.Join(dir, server.JetStreamStoreDir)
	// Folders that the server which hung has made anew; kept, for who wants to look.
	err = os.Rename(home, filepath.Join(filepath.Dir(last), "left-behind"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("move the files back: %w", err)
	}
	if err := os.Rename(last, home); err != nil {
		return fmt.Errorf("move the files back: %w", err)
	}
	_ = os.Remove(filepath.Dir(last)) // unless something was left behind
	return nil
}
