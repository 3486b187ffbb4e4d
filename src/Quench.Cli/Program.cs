using Quench.Snapshots.Coordination;
using Quench.Snapshots.Providers.Filter;

if (args is [FilterWorker.CommandName, ..])
{
    return await FilterWorker.RunAsync(args[1..]);
}

if (args is [ThawGuard.CommandName, var mountPoint])
{
    return ThawGuard.Run(mountPoint);
}

if (args is ["attach", var o, var n]) { Console.WriteLine((await FilterAttachment.AttachAsync(o, n, new AttachOptions(), default)).Device); return 0; }
if (args is ["detach", var nn]) { await FilterAttachment.DetachAsync(nn, default); return 0; }
if (args is ["volumes"]) { foreach (var v in FilterVolumes.List()) Console.WriteLine(v); return 0; }
if (args is ["snap", var sn]) {
  var v = FilterVolumes.Find(sn)!;
  await using var s = await FilterProvider.TakeAsync(v, new SnapshotOptions(), TimeProvider.System, default);
  Console.WriteLine($"{s.Grade} {s.FreezeTime?.TotalMilliseconds} {await s.GetStatusAsync(default)}");
  if (s.Reader.Geometry.Length > 0) { Console.ReadLine(); Console.WriteLine(await s.GetStatusAsync(default)); }
  return 0; }
return 0;
