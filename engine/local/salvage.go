package local

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
)

// damagedFolder keeps what was replaced, for who wants to look.
const damagedFolder = "damaged"

// cutLogs ends the write-ahead log before the first thing in it that cannot be
// read, after a person has accepted that.
func (e *Engine) cutLogs(path string) error {
	logs, err := wal.Scan(wal.Dir{FS: e.fs, Dirname: path})
	if err != nil {
		return fmt.Errorf("look for the write-ahead log: %w", err)
	}
	for i, log := range logs {
		at, err := firstDamage(log)
		if err != nil {
			return fmt.Errorf("read the write-ahead log %s: %w", log.Num, err)
		}
		if at < 0 {
			continue
		}
		// What comes after it cannot stand without it.
		for _, later := range logs[i+1:] {
			_, file := later.SegmentLocation(0)
			if err := e.setAside(file); err != nil {
				return err
			}
		}
		_, file := log.SegmentLocation(0)
		return e.cut(file, at)
	}
	return nil
}

// firstDamage returns where the first unreadable record of a log begins, or -1.
func firstDamage(log wal.LogicalLog) (at int64, err error) {
	r := log.OpenForRead()
	defer func() { err = errors.Join(err, r.Close()) }()
	for {
		rec, off, err := r.NextRecord()
		if errors.Is(err, io.EOF) {
			return -1, nil
		}
		if err == nil {
			_, err = io.Copy(io.Discard, rec)
		}
		if err != nil {
			return off.Physical, nil
		}
	}
}

// cut replaces a file by its first n bytes.
func (e *Engine) cut(file string, n int64) error {
	b, err := readFile(e.fs, file)
	if err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	if err := e.setAside(file); err != nil {
		return err
	}
	f, err := e.fs.Create(file, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	_, err = f.Write(b[:min(n, int64(len(b)))])
	if err = errors.Join(err, f.Sync(), f.Close(), syncDir(e.fs, e.fs.PathDir(file))); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}

func readFile(fs vfs.FS, file string) ([]byte, error) {
	f, err := fs.Open(file)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(f)
	return b, errors.Join(err, f.Close())
}

// setAside moves a file or folder out of the way, and keeps it.
func (e *Engine) setAside(path string) error {
	folder := e.fs.PathJoin(e.opts.Dir, damagedFolder)
	if err := e.fs.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", folder, err)
	}
	taken, err := e.fs.List(folder)
	if err != nil {
		return fmt.Errorf("read %s: %w", folder, err)
	}
	name := e.fs.PathBase(path)
	for n := 1; slices.Contains(taken, name); n++ {
		name = fmt.Sprintf("%s.%d", e.fs.PathBase(path), n)
	}
	to := e.fs.PathJoin(folder, name)
	if err := e.fs.Rename(path, to); err != nil {
		return fmt.Errorf("move %s away: %w", path, err)
	}
	e.logger.Warn("what is damaged is kept for who wants to look", "was", path, "is", to)
	return errors.Join(syncDir(e.fs, folder), syncDir(e.fs, e.fs.PathDir(path)))
}

// rebuild makes a new database of all that can be read in this one, after a person
// has accepted the rest as lost, and puts it in its place. It closes this one.
func (e *Engine) rebuild(path string) error {
	fresh := path + ".new"
	if err := e.fs.RemoveAll(fresh); err != nil { // of a rebuild that was cut off
		return fmt.Errorf("remove %s: %w", fresh, err)
	}
	to, err := pebble.Open(fresh, e.pebbleOptions(false))
	if err != nil {
		return fmt.Errorf("make a new database: %w", err)
	}
	err = e.copyReadable(to)
	if err = errors.Join(err, to.Close(), e.db.Close()); err != nil {
		return fmt.Errorf("copy what can be read: %w", err)
	}
	e.db = nil
	if err := e.setAside(path); err != nil {
		return err
	}
	if err := e.fs.Rename(fresh, path); err != nil {
		return fmt.Errorf("put the new database in its place: %w", err)
	}
	if err := syncDir(e.fs, e.opts.Dir); err != nil {
		return fmt.Errorf("put the new database in its place: %w", err)
	}
	return nil
}

// copyReadable copies everything that can be read, bodies with their deliveries.
func (e *Engine) copyReadable(to *pebble.DB) error {
	skips, err := e.boundaries()
	if err != nil {
		return err
	}
	b := to.NewBatch()
	flush := func(over int) error {
		if b.Len() < over {
			return nil
		}
		err := errors.Join(b.Commit(pebble.Sync), b.Close())
		b = to.NewBatch()
		return err
	}
	for _, prefix := range []byte{tallyPrefix, positionPrefix, resourcePrefix, eventPrefix, progressPrefix, queuePrefix} {
		for from := []byte{prefix}; from != nil; {
			from, err = e.copyRange(b, from, prefix, skips, func() error { return flush(1 << 20) })
			if err != nil {
				return err
			}
		}
	}
	return errors.Join(flush(0), b.Close())
}

// copyRange copies from a key to the end of a kind, or to where it cannot read: then
// it returns where to go on.
func (e *Engine) copyRange(b *pebble.Batch, from []byte, prefix byte, skips [][]byte, full func() error) (next []byte, err error) {
	it, err := e.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: []byte{prefix + 1}})
	if err != nil {
		return nil, err
	}
	last := from
	for ok := it.First(); ok; ok = it.Next() {
		v, verr := it.ValueAndErr()
		if verr != nil {
			break
		}
		last = append(last[:0:0], it.Key()...)
		if err = e.copyOne(b, prefix, last, v); err == nil {
			err = full()
		}
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
	}
	bad := it.Error()
	if cerr := it.Close(); bad == nil {
		return nil, cerr
	}
	for _, k := range skips {
		if bytes.Compare(k, last) > 0 && k[0] == prefix {
			return k, nil
		}
	}
	return nil, nil
}

// copyOne copies one key; a delivery only with its body.
func (e *Engine) copyOne(b *pebble.Batch, prefix byte, key, value []byte) error {
	if prefix != queuePrefix {
		return b.Set(key, value, nil)
	}
	d, _, err := parseDelivery(key, value)
	if err != nil {
		return nil //nolint:nilerr // nothing can be made of it
	}
	body, closer, err := e.db.Get(numberKey(bodyPrefix, d.body))
	if err != nil {
		return nil //nolint:nilerr // it is lost, and counted as such
	}
	return errors.Join(b.Set(key, value, nil), b.Set(numberKey(bodyPrefix, d.body), body, nil), closer.Close())
}

// boundaries returns the keys behind the ends of all tables, in order: behind one
// of them reading goes on when a block is damaged.
func (e *Engine) boundaries() ([][]byte, error) {
	levels, err := e.db.SSTables()
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	var ends [][]byte
	for _, level := range levels {
		for _, t := range level {
			ends = append(ends, append(bytes.Clone(t.Largest.UserKey), 0))
		}
	}
	slices.SortFunc(ends, bytes.Compare)
	return ends, nil
}
