using Quench.Cli;
using Quench.Snapshots.Providers.Filter;

// The two helper processes of the filter provider come first: they must be up quickly, so nothing of the command line is loaded for them.
return args switch
{
    ["filter-worker", .. string[] rest] => await FilterWorker.RunAsync(rest),
    ["thaw-guard", .. string[] rest] => ThawGuard.Run(rest),
    _ => await CommandLine.RunProcessAsync(args),
};
