//go:build race

package cluster_test

import "time"

// ackWait leaves the race detector time for 8,192 messages in hand, each with a
// heartbeat twice in it.
const ackWait = time.Second
