package faults

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	fusefs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// mount mounts a disk until unmount is called, or the test ends.
func mount(t *testing.T, d *disk) (dir string, unmount func()) {
	t.Helper()
	device, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err == nil {
		err = device.Close()
	}
	if err != nil || runtime.GOOS != "linux" {
		lacking(t, "FUSE, which takes Linux and /dev/fuse", err)
	}
	dir = t.TempDir()
	none := time.Duration(0) // the kernel remembers nothing, so that we see every operation
	server, err := fusefs.Mount(dir, &inode{disk: d, node: d.root}, &fusefs.Options{
		EntryTimeout: &none, AttrTimeout: &none, NegativeTimeout: &none,
		MountOptions: fuse.MountOptions{DirectMount: true, FsName: "intertie-test", Name: "intertie-test"},
	})
	if err != nil {
		lacking(t, "the right to mount a disk, or fusermount3", err)
	}
	unmount = sync.OnceFunc(func() {
		d.disarm()
		if !cameTrue(context.Background(), 10*time.Second, func() bool { return server.Unmount() == nil }) {
			t.Errorf("%s cannot be unmounted", dir)
		}
	})
	t.Cleanup(unmount)
	return dir, unmount
}

// lacking skips a test for want of something, or fails it where all must be there.
func lacking(t *testing.T, what string, err error) {
	t.Helper()
	if os.Getenv("INTERTIE_REQUIRE_EXTERNAL") == "1" {
		t.Fatalf("this machine lacks %s: %v", what, err)
	}
	t.Skipf("this machine lacks %s: %v", what, err)
}

// moveTo gives a server that does not run another disk.
func (s *server) moveTo(t *testing.T, d *disk) (unmount func()) {
	t.Helper()
	dir, unmount := mount(t, d)
	s.dir = filepath.Join(dir, "data")
	t.Cleanup(func() { s.leave(t) })
	return unmount
}

// inode shows a node of a disk to the kernel.
type inode struct {
	fusefs.Inode
	disk *disk
	node *node
}

var (
	_ fusefs.NodeLookuper  = (*inode)(nil)
	_ fusefs.NodeGetattrer = (*inode)(nil)
	_ fusefs.NodeSetattrer = (*inode)(nil)
	_ fusefs.NodeOpener    = (*inode)(nil)
	_ fusefs.NodeCreater   = (*inode)(nil)
	_ fusefs.NodeReader    = (*inode)(nil)
	_ fusefs.NodeWriter    = (*inode)(nil)
	_ fusefs.NodeAllocater = (*inode)(nil)
	_ fusefs.NodeFsyncer   = (*inode)(nil)
	_ fusefs.NodeMkdirer   = (*inode)(nil)
	_ fusefs.NodeUnlinker  = (*inode)(nil)
	_ fusefs.NodeRmdirer   = (*inode)(nil)
	_ fusefs.NodeRenamer   = (*inode)(nil)
	_ fusefs.NodeReaddirer = (*inode)(nil)
	_ fusefs.NodeStatfser  = (*inode)(nil)
)

func (i *inode) path() string { return i.Path(nil) }

// child shows a node below this one.
func (i *inode) child(ctx context.Context, n *node, out *fuse.EntryOut) *fusefs.Inode {
	n.fill(&out.Attr)
	return i.NewInode(ctx, &inode{disk: i.disk, node: n}, fusefs.StableAttr{Mode: n.mode, Ino: n.ino})
}

func (n *node) fill(out *fuse.Attr) {
	out.Ino, out.Mode, out.Nlink, out.Size = n.ino, n.mode, 1, uint64(len(n.data))
	out.Blocks = (out.Size + 511) / 512
	out.Uid, out.Gid = uint32(os.Getuid()), uint32(os.Getgid())
	out.SetTimes(nil, &n.mtime, nil)
}

// Lookup implements [fusefs.NodeLookuper].
func (i *inode) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fusefs.Inode, syscall.Errno) {
	if errno := i.disk.begin("lookup", name); errno != 0 {
		return nil, errno
	}
	defer i.disk.mu.Unlock()
	n := i.node.names[name]
	if n == nil {
		return nil, syscall.ENOENT
	}
	return i.child(ctx, n, out), 0
}

// Getattr implements [fusefs.NodeGetattrer].
func (i *inode) Getattr(_ context.Context, _ fusefs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	i.disk.mu.Lock() // the kernel's own business more often than not
	defer i.disk.mu.Unlock()
	i.node.fill(&out.Attr)
	return 0
}

// Setattr implements [fusefs.NodeSetattrer].
func (i *inode) Setattr(_ context.Context, _ fusefs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if errno := i.disk.begin("setattr", i.path()); errno != 0 {
		return errno
	}
	defer i.disk.mu.Unlock()
	if mode, ok := in.GetMode(); ok {
		i.node.mode = i.node.mode&syscall.S_IFMT | mode&0o7777
	}
	if size, ok := in.GetSize(); ok {
		if errno := i.disk.grow(int64(size) - int64(len(i.node.data))); errno != 0 {
			return errno
		}
		i.node.truncate(int(size))
	}
	i.node.fill(&out.Attr)
	return 0
}

// grow takes or gives back space; mu is held.
func (d *disk) grow(by int64) syscall.Errno {
	if by > 0 && d.used+by > diskSize {
		return syscall.ENOSPC
	}
	d.used += by
	return 0
}

// Open implements [fusefs.NodeOpener].
func (i *inode) Open(_ context.Context, flags uint32) (fusefs.FileHandle, uint32, syscall.Errno) {
	if errno := i.disk.begin("open", i.path()); errno != 0 {
		return nil, 0, errno
	}
	defer i.disk.mu.Unlock()
	if flags&syscall.O_TRUNC != 0 {
		i.disk.used -= int64(len(i.node.data))
		i.node.truncate(0)
	}
	return nil, fuse.FOPEN_DIRECT_IO, 0
}

// add makes a node with a name.
func (i *inode) add(ctx context.Context, operation, name string, mode uint32, out *fuse.EntryOut) (*fusefs.Inode, syscall.Errno) {
	if errno := i.disk.begin(operation, name); errno != 0 {
		return nil, errno
	}
	defer i.disk.mu.Unlock()
	if i.node.names[name] != nil {
		return nil, syscall.EEXIST
	}
	n := i.disk.node(mode)
	i.node.names[name] = n
	i.node.changed()
	return i.child(ctx, n, out), 0
}

// Create implements [fusefs.NodeCreater].
func (i *inode) Create(ctx context.Context, name string, _, mode uint32, out *fuse.EntryOut) (*fusefs.Inode, fusefs.FileHandle, uint32, syscall.Errno) {
	made, errno := i.add(ctx, "create", name, syscall.S_IFREG|mode&0o7777, out)
	return made, nil, fuse.FOPEN_DIRECT_IO, errno
}

// Mkdir implements [fusefs.NodeMkdirer].
func (i *inode) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fusefs.Inode, syscall.Errno) {
	return i.add(ctx, "mkdir", name, syscall.S_IFDIR|mode&0o7777, out)
}

// Read implements [fusefs.NodeReader].
func (i *inode) Read(_ context.Context, _ fusefs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	if errno := i.disk.begin("read", i.path()); errno != 0 {
		return nil, errno
	}
	defer i.disk.mu.Unlock()
	off = min(off, int64(len(i.node.data)))
	return fuse.ReadResultData(dest[:copy(dest, i.node.data[off:])]), 0
}

// Write implements [fusefs.NodeWriter].
func (i *inode) Write(_ context.Context, _ fusefs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	if errno := i.disk.begin("write", i.path()); errno != 0 {
		return 0, errno
	}
	defer i.disk.mu.Unlock()
	if errno := i.disk.grow(max(off+int64(len(data))-int64(len(i.node.data)), 0)); errno != 0 {
		return 0, errno
	}
	i.node.write(data, off)
	return uint32(len(data)), 0
}

// Allocate implements [fusefs.NodeAllocater].
func (i *inode) Allocate(_ context.Context, _ fusefs.FileHandle, off, size uint64, mode uint32) syscall.Errno {
	const keepSize = 1
	if errno := i.disk.begin("allocate", i.path()); errno != 0 {
		return errno
	}
	defer i.disk.mu.Unlock()
	switch end := int64(off + size); {
	case mode == keepSize:
		return 0
	case mode != 0:
		return syscall.ENOTSUP
	case end <= int64(len(i.node.data)):
		return 0
	default:
		if errno := i.disk.grow(end - int64(len(i.node.data))); errno != 0 {
			return errno
		}
		i.node.truncate(int(end))
		return 0
	}
}

// Fsync implements [fusefs.NodeFsyncer], of files and folders.
func (i *inode) Fsync(context.Context, fusefs.FileHandle, uint32) syscall.Errno {
	if errno := i.disk.begin("sync", i.path()); errno != 0 {
		return errno
	}
	defer i.disk.mu.Unlock()
	i.node.sync()
	return 0
}

// Unlink implements [fusefs.NodeUnlinker].
func (i *inode) Unlink(_ context.Context, name string) syscall.Errno {
	return i.remove("unlink", name)
}

// Rmdir implements [fusefs.NodeRmdirer].
func (i *inode) Rmdir(_ context.Context, name string) syscall.Errno { return i.remove("rmdir", name) }

func (i *inode) remove(operation, name string) syscall.Errno {
	if errno := i.disk.begin(operation, name); errno != 0 {
		return errno
	}
	defer i.disk.mu.Unlock()
	n := i.node.names[name]
	switch {
	case n == nil:
		return syscall.ENOENT
	case len(n.names) > 0:
		return syscall.ENOTEMPTY
	}
	i.disk.used -= int64(len(n.data)) // a bit early for one that is open
	delete(i.node.names, name)
	i.node.changed()
	return 0
}

// Rename implements [fusefs.NodeRenamer].
func (i *inode) Rename(_ context.Context, name string, to fusefs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	if flags != 0 {
		return syscall.ENOTSUP
	}
	if errno := i.disk.begin("rename", name+" to "+newName); errno != 0 {
		return errno
	}
	defer i.disk.mu.Unlock()
	target := to.(*inode).node
	if i.node.names[name] == nil {
		return syscall.ENOENT
	}
	if old := target.names[newName]; old != nil {
		i.disk.used -= int64(len(old.data))
	}
	n := i.node.names[name]
	delete(i.node.names, name)
	target.names[newName] = n
	target.changed()
	if target != i.node {
		i.node.changed()
	}
	return 0
}

// Readdir implements [fusefs.NodeReaddirer].
func (i *inode) Readdir(context.Context) (fusefs.DirStream, syscall.Errno) {
	if errno := i.disk.begin("readdir", i.path()); errno != 0 {
		return nil, errno
	}
	defer i.disk.mu.Unlock()
	var list []fuse.DirEntry
	for name, n := range i.node.names {
		list = append(list, fuse.DirEntry{Name: name, Mode: n.mode, Ino: n.ino})
	}
	return fusefs.NewListDirStream(list), 0
}

// Statfs implements [fusefs.NodeStatfser].
func (i *inode) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	i.disk.mu.Lock()
	defer i.disk.mu.Unlock()
	const block = 4096
	out.Bsize, out.Frsize, out.NameLen = block, block, 255
	out.Blocks, out.Bfree = diskSize/block, uint64((diskSize-i.disk.used)/block)
	out.Bavail, out.Files, out.Ffree = out.Bfree, 1<<20, 1<<20
	return 0
}
