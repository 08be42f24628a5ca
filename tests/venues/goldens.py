"""Hand-written private frames and answers of every venue, as raw text, in the venues' documented shapes."""

from __future__ import annotations

from tests.venues.private import NAME

UPBIT = {
    "my_order_trade": (
        '{"type":"myOrder","code":"KRW-BTC","uuid":"c1f7a3d2-0001-4000-8000-000000000001","ask_bid":"BID",'
        '"order_type":"limit","state":"trade","trade_uuid":"c1f7a3d2-aaaa-4000-8000-000000000001",'
        '"price":109950000.0,"avg_price":109950000.0,"volume":9.101e-05,"remaining_volume":0.00990899,'
        '"executed_volume":9.101e-05,"trades_count":1,"reserved_fee":549.75,"remaining_fee":544.746725,'
        '"paid_fee":5.00327475,"locked":1090046.21,"executed_funds":10006.5495,"time_in_force":"ioc",'
        '"trade_fee":5.00327475,"is_maker":false,"identifier":"' + NAME + '","smp_type":"cancel_taker",'
        '"prevented_volume":"0","prevented_locked":"0","trade_timestamp":1795000000123,'
        '"order_timestamp":1795000000000,"timestamp":1795000000130,"stream_type":"REALTIME"}'
    ),
    "my_order_trade_simple": (
        '{"ty":"myOrder","cd":"KRW-BTC","uid":"c1f7a3d2-0001-4000-8000-000000000001","ab":"BID","ot":"limit",'
        '"s":"trade","tuid":"c1f7a3d2-aaaa-4000-8000-000000000001","p":109950000.0,"ap":109950000.0,"v":9.101e-05,'
        '"rv":0.00990899,"ev":9.101e-05,"tc":1,"rsf":549.75,"rmf":544.746725,"pf":5.00327475,"l":1090046.21,'
        '"ef":10006.5495,"tif":"ioc","tf":5.00327475,"im":false,"id":"' + NAME + '","smpt":"cancel_taker","pv":"0",'
        '"pl":"0","ttms":1795000000123,"otms":1795000000000,"tms":1795000000130,"st":"REALTIME"}'
    ),
    "my_order_cancel": (
        '{"type":"myOrder","code":"KRW-BTC","uuid":"c1f7a3d2-0001-4000-8000-000000000001","ask_bid":"BID",'
        '"order_type":"limit","state":"cancel","trade_uuid":null,"price":109950000,"avg_price":109950000.0,'
        '"volume":0.01,"remaining_volume":0.00990899,"executed_volume":9.101e-05,"trades_count":1,'
        '"reserved_fee":549.75,"remaining_fee":544.746725,"paid_fee":5.00327475,"locked":1090046.21,'
        '"executed_funds":10006.5495,"time_in_force":"ioc","trade_fee":null,"is_maker":null,'
        '"identifier":"' + NAME + '","smp_type":"cancel_taker","prevented_volume":0,"prevented_locked":0,'
        '"trade_timestamp":null,"order_timestamp":1795000000000,"timestamp":1795000000131,"stream_type":"REALTIME"}'
    ),
    "my_order_external": (
        '{"type":"myOrder","code":"KRW-BTC","uuid":"c1f7a3d2-0009-4000-8000-000000000009","ask_bid":"ASK",'
        '"order_type":"limit","state":"wait","trade_uuid":null,"price":120000000,"avg_price":null,"volume":1,'
        '"remaining_volume":1,"executed_volume":0,"trade_fee":null,"is_maker":null,"identifier":null,'
        '"trade_timestamp":null,"timestamp":1795000000140,"stream_type":"REALTIME"}'
    ),
    "my_asset": (
        '{"type":"myAsset","asset_uuid":"a","assets":[{"currency":"KRW","balance":1386929.3723161039234567891,'
        '"locked":10329.67},{"currency":"BTC","balance":0.5,"locked":0}],"asset_timestamp":1795000000150,'
        '"timestamp":1795000000152,"stream_type":"REALTIME"}'
    ),
    "my_asset_simple": (
        '{"ty":"myAsset","astuid":"a","ast":[{"cu":"KRW","b":1386929.3723161039234567891,"l":10329.67},'
        '{"cu":"BTC","b":0.5,"l":0}],"asttms":1795000000150,"tms":1795000000152,"st":"REALTIME"}'
    ),
    "up": '{"status":"UP"}',
    "invalid_auth": '{"error":{"name":"INVALID_AUTH","message":"인증 정보가 올바르지 않습니다."}}',
    "placed": (
        '{"market":"KRW-BTC","uuid":"c1f7a3d2-0001-4000-8000-000000000001","side":"bid","ord_type":"limit",'
        '"price":"100000","state":"wait","created_at":"2026-11-18T22:26:40+09:00","volume":"0.01",'
        '"remaining_volume":"0.01","reserved_fee":"0.5","remaining_fee":"0.5","paid_fee":"0.0","locked":"1000.5",'
        '"executed_volume":"0.0","trades_count":0,"time_in_force":"ioc","identifier":"' + NAME + '",'
        '"smp_type":"cancel_taker","prevented_volume":"0","prevented_locked":"0"}'
    ),
    "queried": (
        '{"market":"KRW-BTC","uuid":"c1f7a3d2-0001-4000-8000-000000000001","side":"bid","ord_type":"limit",'
        '"price":"109960000","state":"cancel","created_at":"2026-11-18T22:26:40+09:00","volume":"0.01",'
        '"remaining_volume":"0.007","reserved_fee":"549.8","remaining_fee":"384.855","paid_fee":"164.93",'
        '"locked":"0","executed_volume":"0.003","trades_count":2,"time_in_force":"ioc","identifier":"' + NAME + '",'
        '"prevented_volume":"0","prevented_locked":"0","trades":['
        '{"market":"KRW-BTC","uuid":"c1f7a3d2-aaaa-4000-8000-000000000001","price":"109940000","volume":"0.001",'
        '"funds":"109940","trend":"up","created_at":"2026-11-18T22:26:40.123+09:00","side":"bid"},'
        '{"market":"KRW-BTC","uuid":"c1f7a3d2-aaaa-4000-8000-000000000002","price":"109960000","volume":"0.002",'
        '"funds":"219920","trend":"up","created_at":"2026-11-18T22:26:40.124+09:00","side":"bid"}]}'
    ),
    "accounts": (
        '[{"currency":"KRW","balance":"1000000.0","locked":"0.0","avg_buy_price":"0","avg_buy_price_modified":true,'
        '"unit_currency":"KRW"},{"currency":"BTC","balance":"2.0","locked":"0.5","avg_buy_price":"101000",'
        '"avg_buy_price_modified":false,"unit_currency":"KRW"}]'
    ),
    "chance": (
        '{"bid_fee":"0.0005","ask_fee":"0.0005","maker_bid_fee":"0.0004","maker_ask_fee":"0.0005","market":{"id":'
        '"KRW-BTC","bid":{"currency":"KRW","min_total":"5000"}},"bid_account":{"currency":"KRW","balance":"1"}}'
    ),
    "wallets": (
        '[{"currency":"USDT","wallet_state":"paused","block_state":null,"net_type":"ETH","network_name":"Ethereum"},'
        '{"currency":"USDT","wallet_state":"withdraw_only","block_state":"normal","net_type":"TRX"},'
        '{"currency":"BTC","wallet_state":"working","block_state":"normal","block_height":903942}]'
    ),
}

_SPOT_REPORT = (
    '"e":"executionReport","E":1795000000130,"s":"BTCUSDT","c":"' + NAME + '","S":"BUY","o":"LIMIT","f":"IOC",'
    '"q":"0.01000000","p":"100000.00000000","P":"0.00000000","F":"0.00000000","g":-1,"C":"","x":"TRADE",'
    '"X":"PARTIALLY_FILLED","r":"NONE","i":4293153,"l":"0.00400000","z":"0.00400000","L":"99990.00000000",'
    '"n":"0.00000400","N":"BTC","T":1795000000123,"t":88685053,"I":8641984,"w":false,"m":false,"M":true,'
    '"O":1795000000100,"Z":"399.96000000","Y":"399.96000000","Q":"0.00000000","W":1795000000100,"V":"EXPIRE_TAKER"'
)

BINANCE_SPOT = {
    "trade_wrapped": '{"subscriptionId":0,"event":{' + _SPOT_REPORT + "}}",
    "trade_bare": "{" + _SPOT_REPORT + "}",
    "trade_streamed": '{"stream":"executionReport","data":{' + _SPOT_REPORT + "}}",
    "canceled": (
        '{"subscriptionId":0,"event":{"e":"executionReport","E":1795000000140,"s":"BTCUSDT","c":"a-name-of-the-cancel",'
        '"S":"BUY","o":"LIMIT","f":"GTC","q":"0.01000000","p":"100000.00000000","C":"' + NAME + '","x":"CANCELED",'
        '"X":"CANCELED","r":"NONE","i":4293153,"l":"0.00000000","z":"0.00400000","L":"0.00000000","n":"0","N":null,'
        '"T":1795000000139,"t":-1,"w":false,"m":false,"Z":"399.96000000"}}'
    ),
    "expired": (
        '{"subscriptionId":0,"event":{"e":"executionReport","E":1795000000140,"s":"BTCUSDT","c":"' + NAME + '",'
        '"S":"BUY","o":"LIMIT","f":"IOC","q":"0.01","p":"100000","C":"","x":"EXPIRED","X":"EXPIRED","r":"NONE",'
        '"i":4293153,"l":"0.00000000","z":"0.00400000","L":"0.00000000","n":"0","N":null,"T":1795000000139,"t":-1,'
        '"Z":"399.96000000","eR":"UNFILLED_IOC_QUANTITY_EXPIRED"}}'
    ),
    "position": (
        '{"subscriptionId":0,"event":{"e":"outboundAccountPosition","E":1795000000150,"u":1795000000149,"B":['
        '{"a":"BTC","f":"0.50399600","l":"0.00000000"},{"a":"USDT","f":"9600.04000000","l":"12.5"}]}}'
    ),
    "balance_update": (
        '{"subscriptionId":0,"event":{"e":"balanceUpdate","E":1795000000150,"a":"USDT","d":"100.0","T":1795000000149}}'
    ),
    "terminated": '{"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":1795000000150}}',
    "shutdown": '{"e":"serverShutdown","E":1795000000150}',
    "list_status": '{"subscriptionId":0,"event":{"e":"listStatus","E":1795000000150,"s":"BTCUSDT"}}',
    "subscribed": '{"id":"x","status":200,"result":{"subscriptionId":0},"rateLimits":[]}',
    "refused": (
        '{"id":"x","status":400,"error":{"code":-1021,"msg":"Timestamp for this request is outside of the window."}}'
    ),
    "full": (
        '{"symbol":"BTCUSDT","orderId":4293153,"orderListId":-1,"clientOrderId":"' + NAME + '",'
        '"transactTime":1795000000123,"price":"100000.00000000","origQty":"0.01000000","executedQty":"0.01000000",'
        '"origQuoteOrderQty":"0.000000","cummulativeQuoteQty":"999.94000000","status":"FILLED","timeInForce":"IOC",'
        '"type":"LIMIT","side":"BUY","workingTime":1795000000123,"selfTradePreventionMode":"EXPIRE_TAKER","fills":['
        '{"price":"99990.00000000","qty":"0.00400000","commission":"0.00000400","commissionAsset":"BTC",'
        '"tradeId":88685053},{"price":"99996.66000000","qty":"0.00600000","commission":"0.00131000",'
        '"commissionAsset":"BNB","tradeId":88685054}]}'
    ),
    "queried": (
        '{"symbol":"BTCUSDT","orderId":4293153,"orderListId":-1,"clientOrderId":"' + NAME + '","price":"100000.0",'
        '"origQty":"0.01","executedQty":"0.004","cummulativeQuoteQty":"399.96","status":"EXPIRED",'
        '"timeInForce":"IOC","type":"LIMIT","side":"BUY","stopPrice":"0.0","icebergQty":"0.0","time":1795000000100,'
        '"updateTime":1795000000123,"isWorking":true,"expiryReason":"UNFILLED_IOC_QUANTITY_EXPIRED"}'
    ),
    "canceled_answer": (
        '{"symbol":"BTCUSDT","origClientOrderId":"' + NAME + '","orderId":4293153,"orderListId":-1,'
        '"clientOrderId":"a-name-of-the-cancel","transactTime":1795000000139,"price":"100000.0","origQty":"0.01",'
        '"executedQty":"0.0","cummulativeQuoteQty":"0.0","status":"CANCELED","timeInForce":"GTC","type":"LIMIT",'
        '"side":"BUY","selfTradePreventionMode":"EXPIRE_TAKER"}'
    ),
    "my_trades": (
        '[{"symbol":"BTCUSDT","id":88685053,"orderId":4293153,"orderListId":-1,"price":"99990.00000000",'
        '"qty":"0.00400000","quoteQty":"399.96","commission":"0.00000400","commissionAsset":"BTC",'
        '"time":1795000000123,"isBuyer":true,"isMaker":false,"isBestMatch":true}]'
    ),
    "account": (
        '{"makerCommission":10,"takerCommission":10,"canTrade":true,"updateTime":1,"accountType":"SPOT","balances":['
        '{"asset":"BTC","free":"4723846.89208129","locked":"0.00000000"},'
        '{"asset":"USDT","free":"100.0","locked":"1.5"}]}'
    ),
    "commission": (
        '{"symbol":"BTCUSDT","standardCommission":{"maker":"0.00100000","taker":"0.00200000","buyer":"0.0",'
        '"seller":"0.0"},"specialCommission":{"maker":"0.00000000","taker":"0.00010000","buyer":"0.0","seller":"0.0"},'
        '"taxCommission":{"maker":"0.00000001","taker":"0.00000002","buyer":"0.0","seller":"0.0"},"discount":{'
        '"enabledForAccount":true,"enabledForSymbol":true,"discountAsset":"BNB","discount":"0.75000000"}}'
    ),
    "coins": (
        '[{"coin":"USDT","depositAllEnable":true,"networkList":[{"network":"ETH","depositEnable":false,'
        '"withdrawEnable":true,"busy":false},{"network":"TRX","depositEnable":true,"withdrawEnable":false}]},'
        '{"coin":"OLD","networkList":[]}]'
    ),
}

_USDM_REPORT = (
    '"e":"ORDER_TRADE_UPDATE","E":1795000000130,"T":1795000000129,"o":{"s":"BTCUSDT","c":"' + NAME + '","S":"SELL",'
    '"o":"LIMIT","f":"IOC","q":"0.014","p":"99000","ap":"99100.50","sp":"0","x":"TRADE","X":"FILLED","i":8886774,'
    '"l":"0.010","z":"0.014","L":"99100","N":"USDT","n":"0.49550000","T":1795000000129,"t":2233445566,"b":"0",'
    '"a":"0","m":false,"R":false,"wt":"CONTRACT_PRICE","ot":"LIMIT","ps":"BOTH","cp":false,"AP":null,"cr":null,'
    '"pP":false,"si":0,"ss":0,"rp":"0","V":"EXPIRE_TAKER","pm":"NONE","gtd":0,"er":"0"}'
)

BINANCE_USDM = {
    "trade": "{" + _USDM_REPORT + "}",
    "trade_streamed": '{"stream":"ORDER_TRADE_UPDATE","data":{' + _USDM_REPORT + "}}",
    "new_without_fee": (
        '{"e":"ORDER_TRADE_UPDATE","E":1795000000130,"T":1795000000129,"o":{"s":"BTCUSDT","c":"' + NAME + '",'
        '"S":"SELL","o":"LIMIT","f":"GTX","q":"0.014","p":"99000","ap":"0","sp":null,"x":"NEW","X":"NEW",'
        '"i":8886774,"l":"0","z":"0","L":"0","T":1795000000129,"t":0,"m":false,"R":false,"ps":"BOTH"}}'
    ),
    "expired": (
        '{"e":"ORDER_TRADE_UPDATE","E":1795000000130,"T":1795000000129,"o":{"s":"BTCUSDT","c":"' + NAME + '",'
        '"S":"SELL","o":"LIMIT","f":"IOC","q":"0.014","p":"99000","ap":"99100","x":"EXPIRED","X":"EXPIRED",'
        '"i":8886774,"l":"0","z":"0.004","L":"0","N":null,"n":null,"T":1795000000129,"t":0,"m":false,"ps":"BOTH",'
        '"er":"5"}}'
    ),
    "liquidation": (
        '{"e":"ORDER_TRADE_UPDATE","E":1795000000130,"T":1795000000129,"o":{"s":"BTCUSDT",'
        '"c":"autoclose-1234567890123456","S":"BUY","o":"MARKET","f":"GTC","q":"0.100","p":"0","ap":"50000.00",'
        '"sp":null,"x":"CALCULATED","X":"FILLED","i":9876543210,"l":"0.100","z":"0.100","L":"50000.00","N":"USDT",'
        '"n":"5.00000000","T":1795000000129,"t":1122334455,"m":false,"R":false,"ps":"BOTH","V":null}}'
    ),
    "account_update": (
        '{"e":"ACCOUNT_UPDATE","E":1795000000130,"T":1795000000129,"a":{"m":"ORDER","B":[{"a":"USDT",'
        '"wb":"10000.12345678","cw":"8000.5","bc":"0"}],"P":[{"s":"BTCUSDT","pa":"-0.014","ep":"99100.5",'
        '"bep":"99051","cr":"200","up":"0","mt":"isolated","iw":"140.00000000","ps":"BOTH"},{"s":"ETHUSDT",'
        '"pa":"1","ep":"3000","mt":"cross","iw":"0","ps":"BOTH"}]}}'
    ),
    "funding_fee": (
        '{"e":"ACCOUNT_UPDATE","E":1795000000130,"T":1795000000129,"a":{"m":"FUNDING_FEE","B":[{"a":"USDT",'
        '"wb":"10000.1","cw":"10000.1","bc":"0.1"}]}}'
    ),
    "hedge_mode": (
        '{"e":"ACCOUNT_UPDATE","E":1795000000130,"T":1795000000129,"a":{"m":"ORDER","B":[],"P":[{"s":"BTCUSDT",'
        '"pa":"0","ep":"0","mt":"isolated","iw":"0","ps":"BOTH"},{"s":"BTCUSDT","pa":"20","ep":"6563.6",'
        '"mt":"isolated","iw":"1","ps":"LONG"}]}}'
    ),
    "margin_call": (
        '{"e":"MARGIN_CALL","E":1795000000130,"cw":"3.16","p":[{"s":"BTCUSDT","ps":"BOTH","pa":"-0.014",'
        '"mt":"ISOLATED","iw":"140","mp":"120000","up":"-1.1","mm":"1.6"}]}'
    ),
    "config": '{"e":"ACCOUNT_CONFIG_UPDATE","E":1795000000130,"T":1795000000129,"ac":{"s":"BTCUSDT","l":25}}',
    "trade_lite": (
        '{"e":"TRADE_LITE","E":1795000000130,"T":1795000000129,"s":"BTCUSDT","q":"0.037","p":"99000","m":false,'
        '"c":"' + NAME + '","S":"SELL","L":"99000","l":"0.037","t":4467432841,"i":8886774}'
    ),
    "key_expired": '{"e":"listenKeyExpired","E":1795000000130,"listenKey":"key"}',
    "listen_key": '{"listenKey":"pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61cv6a81va65sdf19v8a65a1"}',
    "result": (
        '{"clientOrderId":"' + NAME + '","cumQty":"0.014","executedQty":"0.014","orderId":8886774,"origQty":"0.014",'
        '"price":"99000","reduceOnly":false,"side":"SELL","positionSide":"BOTH","status":"FILLED","stopPrice":"0",'
        '"closePosition":false,"symbol":"BTCUSDT","timeInForce":"IOC","type":"LIMIT","origType":"LIMIT",'
        '"updateTime":1795000000129,"workingType":"CONTRACT_PRICE","priceProtect":false,"priceMatch":"NONE",'
        '"selfTradePreventionMode":"EXPIRE_TAKER","goodTillDate":0}'
    ),
    "queried": (
        '{"avgPrice":"99100.50","clientOrderId":"' + NAME + '","cumQuote":"1387.407","executedQty":"0.014",'
        '"orderId":8886774,"origQty":"0.014","origType":"LIMIT","price":"99000","reduceOnly":false,"side":"SELL",'
        '"positionSide":"BOTH","status":"FILLED","symbol":"BTCUSDT","time":1795000000100,"timeInForce":"IOC",'
        '"type":"LIMIT","updateTime":1795000000129}'
    ),
    "user_trades": (
        '[{"buyer":false,"commission":"0.49550000","commissionAsset":"USDT","id":2233445566,"maker":false,'
        '"orderId":8886774,"price":"99100","qty":"0.010","quoteQty":"991","realizedPnl":"0","side":"SELL",'
        '"positionSide":"BOTH","symbol":"BTCUSDT","time":1795000000129}]'
    ),
    "balance": (
        '[{"accountAlias":"SgsR","asset":"USDT","balance":"122607.35137903","crossWalletBalance":"23.72469206",'
        '"crossUnPnl":"0.00000000","availableBalance":"23.72469206","maxWithdrawAmount":"23.72469206",'
        '"marginAvailable":true,"updateTime":1617939110373},{"accountAlias":"SgsR","asset":"BNB","balance":"1",'
        '"crossWalletBalance":"1","crossUnPnl":"0.5","availableBalance":"1.5","updateTime":0}]'
    ),
    "position_risk": (
        '[{"entryPrice":"99100.5","breakEvenPrice":"99051","marginType":"isolated","isAutoAddMargin":"false",'
        '"isolatedMargin":"140.0","leverage":"10","liquidationPrice":"108000.1","markPrice":"99120.50671178",'
        '"maxNotionalValue":"20000000","positionAmt":"-0.014","notional":"-1387.6","isolatedWallet":"140",'
        '"symbol":"BTCUSDT","unRealizedProfit":"-0.28","positionSide":"BOTH","updateTime":1795000000129}]'
    ),
    "open_orders": (
        '[{"avgPrice":"0.00000","clientOrderId":"an-order-by-hand","cumQuote":"0","executedQty":"0","orderId":1917641,'
        '"origQty":"0.40","price":"90000","side":"BUY","positionSide":"BOTH","status":"NEW","symbol":"BTCUSDT",'
        '"time":1795000000100,"updateTime":1795000000100,"type":"LIMIT","timeInForce":"GTC"}]'
    ),
    "commission": '{"symbol":"BTCUSDT","makerCommissionRate":"0.0002","takerCommissionRate":"0.0004"}',
    "income": (
        '[{"symbol":"BTCUSDT","incomeType":"FUNDING_FEE","income":"-0.37500000","asset":"USDT","info":"FUNDING_FEE",'
        '"time":1795003200000,"tranId":9689322393,"tradeId":""},{"symbol":"BTCUSDT","incomeType":"FUNDING_FEE",'
        '"income":"0.12500000","asset":"USDT","info":"FUNDING_FEE","time":1794974400000,"tranId":9689322392,'
        '"tradeId":""},{"symbol":"ETHUSDT","incomeType":"FUNDING_FEE","income":"9","asset":"USDT",'
        '"time":1794974400000,"tranId":9689322391}]'
    ),
    "one_way": '{"dualSidePosition":false}',
}

GOLDENS = {"upbit": UPBIT, "binance_spot": BINANCE_SPOT, "binance_usdm": BINANCE_USDM}
