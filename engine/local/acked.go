package local

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// ackedFile holds the number of the last write that somebody was told is durable,
// twice: in two places that are written in turn, so that damage to one leaves the
// other, which is one write behind.
//
// It is written before the answer, and synced once a second: a killed process has
// told the operating system, and after a power cut it may be a second behind, never
// ahead.
const ackedFile = "acknowledged"

const (
	ackedSlots = 2
	ackedSlot  = 4096 // far enough apart for two sectors
	ackedMagic = 0x696e7465727469e1
	ackedLen   = 24
)

type acked struct {
	file vfs.File

	mu      sync.Mutex // protects the fields below
	written uint64
}

// openAcked opens the file, or makes it for a folder without a database. damaged
// counts the places that cannot be read.
func openAcked(fs vfs.FS, path string, create bool) (a *acked, damaged int, err error) {
	_, err = fs.Stat(path)
	if oserror.IsNotExist(err) && create {
		err = createAcked(fs, path)
	}
	if err != nil {
		return nil, 0, err
	}
	f, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, 0, err
	}
	a = &acked{file: f}
	for slot := range ackedSlots {
		b := make([]byte, ackedLen)
		if _, err := f.ReadAt(b, int64(slot*ackedSlot)); err != nil {
			damaged++
			continue
		}
		n, ok := decodeAcked(b)
		if !ok {
			damaged++
			continue
		}
		a.written = max(a.written, n)
	}
	return a, damaged, nil
}

// createAcked writes the file under another name first: one that is there is whole.
func createAcked(fs vfs.FS, path string) error {
	tmp := path + ".new"
	f, err := fs.Create(tmp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	b := make([]byte, ackedSlot+ackedLen)
	copy(b, encodeAcked(0))
	copy(b[ackedSlot:], encodeAcked(0))
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(fs, fs.PathDir(path))
}

func syncDir(fs vfs.FS, path string) error {
	d, err := fs.OpenDir(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func encodeAcked(n uint64) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, ackedLen), ackedMagic)
	b = binary.BigEndian.AppendUint64(b, n)
	return binary.BigEndian.AppendUint64(b, xxhash.Sum64(b))
}

func decodeAcked(b []byte) (n uint64, ok bool) {
	if binary.BigEndian.Uint64(b) != ackedMagic || binary.BigEndian.Uint64(b[16:]) != xxhash.Sum64(b[:16]) {
		return 0, false
	}
	return binary.BigEndian.Uint64(b[8:]), true
}

// set says that write n, and with it each before, is about to be acknowledged.
func (a *acked) set(n uint64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n <= a.written {
		return nil
	}
	if _, err := a.file.WriteAt(encodeAcked(n), int64(n%ackedSlots)*ackedSlot); err != nil {
		return fmt.Errorf("note what is acknowledged: %w", err)
	}
	a.written = n
	return nil
}

// reset makes both places say n, whatever they said, and syncs them.
func (a *acked) reset(n uint64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for slot := range ackedSlots {
		if _, err := a.file.WriteAt(encodeAcked(n), int64(slot*ackedSlot)); err != nil {
			return fmt.Errorf("note what is acknowledged: %w", err)
		}
	}
	a.written = n
	if err := a.file.Sync(); err != nil {
		return fmt.Errorf("note what is acknowledged: %w", err)
	}
	return nil
}

// close makes both places say what was acknowledged last, unless it was only read.
func (a *acked) close(tell bool) error {
	if !tell {
		return a.file.Close()
	}
	a.mu.Lock()
	n := a.written
	a.mu.Unlock()
	return errors.Join(a.reset(n), a.file.Close())
}

// ackedSyncEvery is by how much the file may be behind after a power cut.
const ackedSyncEvery = time.Second

// syncAcked syncs the file while there is something new, until ctx ends.
func (e *Engine) syncAcked(ctx context.Context) {
	tick := time.NewTicker(ackedSyncEvery)
	defer tick.Stop()
	var synced uint64
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		e.acked.mu.Lock()
		n := e.acked.written
		e.acked.mu.Unlock()
		if n == synced {
			continue
		}
		if err := e.acked.file.SyncData(); err != nil {
			e.fail(fmt.Errorf("sync what is acknowledged: %w", err))
			return
		}
		synced = n
	}
}
