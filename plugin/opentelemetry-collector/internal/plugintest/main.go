package plugintest

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// CacheDirectory is where tests of a package keep compiled code, so that the plugin is compiled once and not for each. Empty
// outside of Main.
var CacheDirectory string

// Main runs the tests of a package, and fails when they leave goroutines behind.
func Main(m *testing.M) {
	var err error
	CacheDirectory, err = os.MkdirTemp("", "faultline-compiled-*")
	check(err)
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		_ = os.RemoveAll(CacheDirectory)
		os.Exit(status)
	}))
}
