package deliver

import "github.com/intertie/intertie/eventlog"

// The log this package is written for.
var _ Log = (*eventlog.Log)(nil)
