// Package telemetry makes the logger and the metrics registry that the rest of
// the program is handed, and the handler that shows the metrics.
//
// Nothing here is global: the caller that wires the program makes one of each
// and passes them on. The package must not know what is logged or counted;
// every package registers its own metrics and chooses its own words.
package telemetry
