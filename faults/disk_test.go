package faults

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"
)

// disk is a file system in memory that knows what was synced, and fails or hangs
// when it is told to. fuse_test.go mounts it.
//
// It is as hard as POSIX allows: the content of a file is durable when that was
// synced, and a name when the folder was that it is in.
type disk struct {
	mu    sync.Mutex // protects the fields below, and all nodes
	root  *node
	inos  uint64
	used  int64
	count int // operations so far
	fault fault
	hit   []string // operations that the fault has met
	freed chan struct{}
}

// diskSize is what the disk says that it holds. The server keeps 32 MB of it free.
const diskSize = 256 << 20

// sector is what a disk writes as a whole.
const sector = 512

// fault is what happens to the operations from one on. The zero value does
// nothing.
type fault struct {
	from, times int
	errno       syscall.Errno // 0: nothing, afterwards
	hang        time.Duration // before that
	only        string        // operation; empty: any
}

// node is a file or a folder: as it is, and as it was synced.
type node struct {
	ino   uint64
	mode  uint32
	mtime time.Time

	// Of a file.
	data, synced []byte
	dirty        []extent // what differs, in the order in which it was written

	// Of a folder.
	names, durable map[string]*node
	since          []map[string]*node // how it was after each change that was not synced
}

type extent struct{ from, to int64 }

// keepChanges bounds what is remembered of a folder that nobody syncs.
const keepChanges = 64

func newDisk() *disk {
	d := &disk{freed: make(chan struct{})}
	d.root = d.node(syscall.S_IFDIR | 0o700)
	return d
}

// node makes a node; mu is held, or nobody else knows the disk yet.
func (d *disk) node(mode uint32) *node {
	d.inos++
	n := &node{ino: d.inos, mode: mode, mtime: time.Now()}
	if mode&syscall.S_IFMT == syscall.S_IFDIR {
		n.names, n.durable = make(map[string]*node), make(map[string]*node)
	}
	return n
}

// arm lets a fault happen that many operations from now on.
func (d *disk) arm(f fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f.from += d.count
	d.fault, d.hit = f, nil
}

// disarm ends the fault, and lets go what hangs. It returns what it has met.
func (d *disk) disarm() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = fault{}
	close(d.freed)
	d.freed = make(chan struct{})
	return d.hit
}

// met returns how many operations the fault has met.
func (d *disk) met() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.hit)
}

// operations returns how many there were.
func (d *disk) operations() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count
}

// begin is called before each operation, and takes the lock of the disk unless it
// returns an error.
func (d *disk) begin(operation, name string) syscall.Errno {
	d.mu.Lock()
	d.count++
	f, freed := d.fault, d.freed
	if f.times == 0 || d.count < f.from || f.only != "" && f.only != operation {
		return 0
	}
	d.fault.times--
	d.hit = append(d.hit, operation+" "+name)
	if f.hang > 0 {
		d.mu.Unlock()
		timer := time.NewTimer(f.hang)
		select {
		case <-timer.C:
		case <-freed:
			timer.Stop()
		}
		d.mu.Lock()
	}
	if f.errno != 0 {
		d.mu.Unlock()
	}
	return f.errno
}

// changed remembers how the folder is now; mu is held.
func (n *node) changed() {
	n.mtime = time.Now()
	if n.since = append(n.since, maps.Clone(n.names)); len(n.since) > keepChanges {
		n.since = n.since[1:]
	}
}

// sync makes a file or folder durable; mu is held.
func (n *node) sync() {
	if n.names != nil {
		n.changed()
		n.durable, n.since = n.since[len(n.since)-1], nil
		return
	}
	n.synced = resized(n.synced, len(n.data))
	for _, e := range n.dirty {
		if to := min(e.to, int64(len(n.data))); e.from < to {
			copy(n.synced[e.from:to], n.data[e.from:to])
		}
	}
	n.dirty = nil
}

// write changes a file; mu is held.
func (n *node) write(b []byte, at int64) {
	end := at + int64(len(b))
	n.data = resized(n.data, max(len(n.data), int(end)))
	copy(n.data[at:], b)
	n.touch(at, end)
}

// truncate gives a file another length; mu is held.
func (n *node) truncate(size int) {
	old := len(n.data)
	n.data = resized(n.data, size)
	n.touch(int64(min(old, size)), int64(max(old, size)))
}

func (n *node) touch(from, to int64) {
	n.mtime = time.Now()
	n.dirty = append(n.dirty, extent{from, to})
}

// resized returns b with that length. What is new is zero, also after it was
// shorter.
func resized(b []byte, size int) []byte {
	if size <= len(b) {
		clear(b[size:])
		return b[:size]
	}
	return append(b, make([]byte, size-len(b))...)
}

// cut returns the disk as the next start finds it after the power has failed:
// what was synced, and by chance, unless r is nil, a part of what was not.
func (d *disk) cut(r *rand.Rand) *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	after := newDisk()
	after.root = after.survivor(d.root, make(map[*node]*node), r)
	return after
}

func (d *disk) survivor(old *node, done map[*node]*node, r *rand.Rand) *node {
	if n := done[old]; n != nil { // two names of one file, one of them on its way
		return n
	}
	n := d.node(old.mode)
	done[old] = n
	if old.names != nil {
		names := old.durable
		if k := len(old.since); r != nil && k > 0 {
			if k = r.IntN(k + 1); k > 0 { // changes of a folder come in their order
				names = old.since[k-1]
			}
		}
		for name, child := range names {
			n.names[name] = d.survivor(child, done, r)
		}
		n.sync()
		return n
	}
	n.data = bytes.Clone(old.synced)
	if r != nil {
		for _, e := range old.dirty { // those of a file in any order, each cut between two sectors
			e.to = min(e.to, int64(len(old.data)))
			if e.from >= e.to || r.IntN(2) == 0 {
				continue
			}
			if cut := (e.from + r.Int64N(2*(e.to-e.from))) / sector * sector; cut > e.from {
				e.to = min(e.to, cut)
			}
			n.write(old.data[e.from:e.to], e.from)
		}
	}
	n.data, n.synced, n.dirty = bytes.Clone(n.data), n.data, nil
	d.used += int64(len(n.data))
	return n
}
