// Package disktest gives a test a small file system of its own, and another
// program's file that fills it.
//
// It mounts a tmpfs, which takes Linux and the right to mount. Without them the
// test is skipped, or fails when INTERTIE_REQUIRE_EXTERNAL=1 says that nothing
// may be skipped.
package disktest
