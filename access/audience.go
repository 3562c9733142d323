package access

import "strings"

// Audiences that Azure's clients ask tokens for, whatever server they talk to.
const (
	AudienceManagement        = "https://management.azure.com"
	AudienceManagementClassic = "https://management.core.windows.net"
	AudienceEventGrid         = "https://eventgrid.azure.net"
)

// graphPath is where the directory lives below a base URL of the server.
const graphPath = "/graph"

// ManagementAudiences returns what a token for the management API may be made
// out to: Azure's two names for it, and the server's own base URLs.
func ManagementAudiences(bases ...string) []string {
	return append([]string{AudienceManagement, AudienceManagementClassic}, bases...)
}

// DataAudiences returns what a token for publishing may be made out to.
func DataAudiences() []string { return []string{AudienceEventGrid} }

// GraphAudiences returns what a token for the directory may be made out to:
// /graph below one of the server's base URLs.
func GraphAudiences(bases ...string) []string {
	out := make([]string, len(bases))
	for i, b := range bases {
		out[i] = strings.TrimRight(b, "/") + graphPath
	}
	return out
}

// SameAudience compares audiences as clients write them: trailing slashes and
// letter case do not count. az sends two slashes where others send none.
func SameAudience(a, b string) bool {
	return strings.EqualFold(strings.TrimRight(a, "/"), strings.TrimRight(b, "/"))
}

func audienceIn(aud string, list []string) bool {
	for _, a := range list {
		if SameAudience(aud, a) {
			return true
		}
	}
	return false
}
