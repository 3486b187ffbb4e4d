using Quench.Cli;
using Quench.Snapshots.Coordination;
using Quench.Snapshots.Coordination.Holds;
using Quench.Snapshots.Providers.Filter;

// The helper processes come first: they must be up quickly, so nothing of the command line is loaded for them.
return args switch
{
    [FilterHolder.CommandName, .. string[] rest] => await FilterHolder.RunAsync(rest),
    [FilterWorker.CommandName, .. string[] rest] => await FilterWorker.RunAsync(rest),
    [ThawGuard.CommandName, .. string[] rest] => ThawGuard.Run(rest[0]),
    [HoldGuard.CommandName, .. string[] rest] => await HoldGuard.RunAsync(rest),
    _ => await CommandLine.RunProcessAsync(args),
};
