"""The SDN controller: ranks the subchannels of a site and allocates them to devices, asked by agents over gRPC."""
