//go:build !race

package cluster_test

import "time"

const ackWait = 300 * time.Millisecond
