{{ config(
    incremental_strategy='renew',
    unique_key=['loan_transaction_hk'],
    meta={'affected_key': 'loan_hk'},
    pre_hook="{{ note_affected(affected_loans()) }}",
    indexes=[{'columns': ['loan_transaction_hk'], 'unique': true}, {'columns': ['loan_hk']}],
) }}

{{ with_affected('loan_hk') }}
sat_loan as {{ rows_of(ref('sat_loan')) }},
sat_loan_transaction as {{ rows_of(ref('sat_loan_transaction')) }},
link_loan_transaction as {{ rows_of(ref('link_loan_transaction')) }},

booked as (
    select s.loan_hk, {{ business_date('s.booked_at') }} as booked_on
    from ({{ current_of('sat_loan', 'loan', 's.loan_hk in (select a.loan_hk from affected as a)' if is_incremental() else '1 = 1') }}) as s
),

-- Of an imported disbursement the day may be unknown. The loan then counts from the day of its booking; is_dated says that
-- this is not the day of the disbursement.
transactions as (
    select
        l.loan_hk, s.loan_transaction_hk, l.id as transaction_id, s.kind, s.amount, s.currency,
        coalesce(s.effective_on, b.booked_on) as effective_on,
        case when s.effective_on is null then 0 else 1 end as is_dated,
        s.reverses, s.recorded_at
    from ({{ current_of('sat_loan_transaction', 'loan_transaction', only_affected('loan_transaction', 'link_loan_transaction', 'loan_hk')) }}) as s
    inner join link_loan_transaction as l on l.link_hk = s.link_hk
    left join booked as b on b.loan_hk = l.loan_hk
),

-- A transaction is undone once; who reverses it again changes nothing.
reversals as (
    {{ last_of_each("select t.* from transactions as t where t.kind = 'reversal'", ['loan_hk', 'reverses'], ['recorded_at', 'transaction_id'], first=true) }}
),

undone as (
    select
        r.loan_transaction_hk,
        r.transaction_id,
        r.recorded_at,
        o.transaction_id as original_id,
        o.loan_hk,
        o.kind,
        o.amount,
        o.currency,
        {{ larger('r.effective_on', 'o.effective_on') }} as effective_on,
        o.is_dated
    from reversals as r
    -- The transaction alone is the key: as a second equality the loan would make the planner expect next to nothing.
    inner join transactions as o
        on o.transaction_id = r.reverses and o.kind <> 'reversal' and case when o.loan_hk = r.loan_hk then 1 else 0 end <> 0
),

final as (
    select
        t.loan_hk,
        t.loan_transaction_hk,
        t.transaction_id,
        cast(null as varchar(36)) as reverses,
        t.kind as effect,
        t.amount,
        t.currency,
        t.effective_on,
        t.is_dated,
        t.recorded_at,
        u.effective_on as reversed_on
    from transactions as t
    left join undone as u on u.original_id = t.transaction_id
    where t.kind <> 'reversal'
    union all
    select
        u.loan_hk,
        u.loan_transaction_hk,
        u.transaction_id,
        u.original_id,
        u.kind,
        -u.amount,
        u.currency,
        u.effective_on,
        u.is_dated,
        u.recorded_at,
        null
    from undone as u
)

select * from final
